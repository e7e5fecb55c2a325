package wecom

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

// A vector is one case of testdata/wecom-callback-vectors.json.
type vector struct {
	Name           string
	Token          string
	EncodingAESKey string
	ReceiveID      string
	Timestamp      string
	Nonce          string
	Plaintext      *string // nil if nothing is decrypted
	RandomHex      *string `json:"random_hex"` // nil if the ciphertext was built by hand
	Encrypt        string
	MsgSignature   string `json:"msg_signature"`
	Expect         string
}

// An httpCase is one envelope of the same file.
type httpCase struct {
	vector
	Kind         string
	Query        string
	Body         string
	ResponseBody *string `json:"response_body"`
}

func readVectors(tb testing.TB) (file struct {
	Vectors   []vector
	Envelopes []httpCase
}) {
	tb.Helper()
	data, err := os.ReadFile("testdata/wecom-callback-vectors.json")
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(data, &file); err != nil {
		tb.Fatal(err)
	}
	if len(file.Vectors) != 151 || len(file.Envelopes) != 21 {
		tb.Fatalf("read %d vectors and %d envelopes, want 151 and 21", len(file.Vectors), len(file.Envelopes))
	}
	return file
}

// verdict returns the name that the vectors have for err.
func verdict(err error) string {
	for name, target := range map[string]error{
		"ok":            nil,
		"bad_key":       ErrBadKey,
		"bad_envelope":  ErrBadEnvelope,
		"bad_signature": ErrBadSignature,
		"bad_base64":    ErrBadBase64,
		"bad_length":    ErrBadLength,
		"bad_padding":   ErrBadPadding,
		"bad_receiveid": ErrBadReceiveID,
	} {
		if errors.Is(err, target) {
			return name
		}
	}
	return "unnamed: " + err.Error()
}

func TestCipherVectors(t *testing.T) {
	for _, v := range readVectors(t).Vectors {
		t.Run(v.Name, func(t *testing.T) {
			var plain []byte
			c, err := NewCipher(v.Token, v.EncodingAESKey, v.ReceiveID)
			if err == nil {
				plain, err = c.Open(v.MsgSignature, v.Timestamp, v.Nonce, v.Encrypt)
			}
			if got := verdict(err); got != v.Expect {
				t.Fatalf("Open: got %s, want %s", got, v.Expect)
			}
			if v.Expect == "ok" && string(plain) != *v.Plaintext {
				t.Errorf("Open: got %q, want %q", plain, *v.Plaintext)
			}
			if v.RandomHex != nil {
				checkSeal(t, c, v)
			}
		})
	}
}

// checkSeal seals the plaintext of v and compares every byte.
func checkSeal(t *testing.T, c *Cipher, v vector) Envelope {
	t.Helper()
	random, err := hex.DecodeString(*v.RandomHex)
	if err != nil {
		t.Fatal(err)
	}
	timestamp, err := strconv.ParseInt(v.Timestamp, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	c.Random = bytes.NewReader(random)
	got := c.Seal([]byte(*v.Plaintext), timestamp, v.Nonce)
	want := Envelope{Encrypt: v.Encrypt, MsgSignature: v.MsgSignature, TimeStamp: timestamp, Nonce: v.Nonce}
	if got != want {
		t.Errorf("Seal(%q, %d, %q) = %+v, want %+v", *v.Plaintext, timestamp, v.Nonce, got, want)
	}
	return got
}

func TestNewCipherRefusesEmptyToken(t *testing.T) {
	if _, err := NewCipher("", testKey, ""); !errors.Is(err, ErrBadToken) {
		t.Errorf("NewCipher with an empty token: got %v, want %v", err, ErrBadToken)
	}
}

func TestCipherHidesSecrets(t *testing.T) {
	c := testCipher(t, "")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, c); strings.Contains(got, "testToken") {
			t.Errorf("Sprintf(%q, cipher) = %q, want no token in it", verb, got)
		}
	}
}

func TestSealDefaultIsRandom(t *testing.T) {
	c := testCipher(t, "corp")
	a, b := c.Seal([]byte("hi"), 1795219200, "n"), c.Seal([]byte("hi"), 1795219200, "n")
	if a.Encrypt == b.Encrypt {
		t.Errorf("Seal twice gave the same ciphertext %q", a.Encrypt)
	}
	for _, e := range []Envelope{a, b} {
		if got, err := c.OpenEnvelope(e); err != nil || string(got) != "hi" {
			t.Errorf("OpenEnvelope(%+v) = %q, %v, want hi", e, got, err)
		}
	}
}

func TestSealPanicsWithoutRandom(t *testing.T) {
	c := testCipher(t, "")
	c.Random = iotest.ErrReader(errors.New("no entropy"))
	defer func() {
		if got := recover(); got == nil || !strings.Contains(fmt.Sprint(got), "no entropy") {
			t.Errorf("Seal with a failing Random: recovered %v, want a panic about no entropy", got)
		}
	}()
	c.Seal(nil, 0, "")
}

// Non-zero trailing bits make a second spelling of the same ciphertext.
func TestOpenRefusesNonCanonicalBase64(t *testing.T) {
	c := testCipher(t, "")
	e := c.Seal(nil, 1795219200, "n") // 32 bytes: ends in one "=", with two unused bits
	last := strings.IndexByte(base64Alphabet, e.Encrypt[42])
	spelling := e.Encrypt[:42] + string(base64Alphabet[last|1]) + "="
	lenient, err := base64.StdEncoding.DecodeString(spelling)
	if err != nil || len(lenient) != 32 {
		t.Fatalf("test is broken: %q decodes to %d bytes, %v", spelling, len(lenient), err)
	}
	signature := sign(c.token, "1795219200", "n", spelling)
	if _, err := c.Open(string(signature[:]), "1795219200", "n", spelling); !errors.Is(err, ErrBadBase64) {
		t.Errorf("Open(%q): got %v, want %v", spelling, err, ErrBadBase64)
	}
}

const (
	base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	testKey        = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG" // made up
)

func testCipher(tb testing.TB, receiveID string) *Cipher {
	tb.Helper()
	c, err := NewCipher("testToken", testKey, receiveID)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func FuzzCipherOpen(f *testing.F) {
	for _, v := range readVectors(f).Vectors {
		if len(v.Encrypt) < 1024 {
			f.Add(v.MsgSignature, v.Timestamp, v.Nonce, v.Encrypt, v.ReceiveID)
		}
	}
	f.Fuzz(func(t *testing.T, signature, timestamp, nonce, encrypted, receiveID string) {
		c := testCipher(t, receiveID)
		right := sign(c.token, timestamp, nonce, encrypted)
		if signature != string(right[:]) {
			if _, err := c.Open(signature, timestamp, nonce, encrypted); err != ErrBadSignature {
				t.Errorf("Open with wrong signature %q: got %v, want %v", signature, err, ErrBadSignature)
			}
		}
		// Past the signature, whatever is sent must be refused or decrypted.
		if plain, err := c.Open(string(right[:]), timestamp, nonce, encrypted); err == nil && len(plain) > len(encrypted) {
			t.Errorf("Open(%q) = %d bytes, more than the ciphertext", encrypted, len(plain))
		}
		// And what is sealed must open again.
		e := c.Seal([]byte(encrypted), 1795219200, nonce)
		if got, err := c.OpenEnvelope(e); err != nil || string(got) != encrypted {
			t.Errorf("OpenEnvelope(Seal(%q)) = %q, %v", encrypted, got, err)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	c := testCipher(b, "ww1234567890abcdef")
	message := bytes.Repeat([]byte("0123456789abcdef"), 64) // 1 KiB
	e := c.Seal(message, 1795219200, "88001")
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Open(e.MsgSignature, "1795219200", e.Nonce, e.Encrypt); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	c := testCipher(b, "ww1234567890abcdef")
	message := bytes.Repeat([]byte("0123456789abcdef"), 64) // 1 KiB
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		c.Seal(message, 1795219200, "88001")
	}
}

// The simulator asks, the bot answers.
func ExampleCipher() {
	c, err := NewCipher("testToken", testKey, "") // an aibot has no receive id
	if err != nil {
		panic(err)
	}

	// The platform's side.
	sealed := c.Seal([]byte(`{"msgtype":"text"}`), 1795219200, "88001")
	query, body := sealed.Query().Encode(), Delivery{Encrypt: sealed.Encrypt}.JSON()

	// The bot's side.
	values, err := url.ParseQuery(query)
	if err != nil {
		panic(err)
	}
	plain, err := c.OpenPost(values, body)
	fmt.Printf("%s %v\n", plain, err)
	// Output: {"msgtype":"text"} <nil>
}
