package wecom

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Why a key or a callback was refused, in the order in which it is checked.
var (
	ErrBadKey       = errors.New("wecom: bad EncodingAESKey") // not 43 letters and digits
	ErrBadToken     = errors.New("wecom: empty token")        // anybody could sign
	ErrBadEnvelope  = errors.New("wecom: bad envelope")       // unreadable, incomplete or too large
	ErrBadSignature = errors.New("wecom: bad signature")      // forged, altered, or another token
	ErrBadBase64    = errors.New("wecom: bad base64")         // ciphertext is not padded standard base64
	ErrBadLength    = errors.New("wecom: bad length")         // ciphertext or message length impossible
	ErrBadPadding   = errors.New("wecom: bad padding")        // usually: right token, wrong key
	ErrBadReceiveID = errors.New("wecom: message not for us") // another corp's or another kind of endpoint
)

// Layout of the encrypted frame:
//
//	random (16 bytes) ‖ length of message (4, big-endian) ‖ message ‖ receive id ‖ padding
//
// Source: https://developer.work.weixin.qq.com/document/path/90968
const (
	randomBytes = 16
	headerBytes = randomBytes + 4 // random and length
	padUnit     = 32              // PKCS#7 to 32 bytes, though an AES block has 16
)

// A Cipher signs, encrypts and checks the callbacks of one endpoint. It is
// safe for concurrent use if Random is.
type Cipher struct {
	// Random supplies the 16 random bytes that begin each sealed message.
	// NewCipher sets crypto/rand; tests replace it to get exact bytes. It
	// must not fail: see Seal.
	Random io.Reader

	token     string
	receiveID string
	block     cipher.Block
	iv        [aes.BlockSize]byte
}

// NewCipher returns the cipher of one endpoint. The token and the
// encodingAESKey are those shown in the admin console; the key has exactly 43
// ASCII letters and digits. The receiveID is the corp id for a self-built app,
// the suite id for a third-party app, and empty for an aibot (智能机器人).
//
// It returns ErrBadKey or ErrBadToken.
//
// Sources: https://developer.work.weixin.qq.com/document/path/90930 and, for
// the aibot, https://developer.work.weixin.qq.com/document/path/101033
func NewCipher(token, encodingAESKey, receiveID string) (*Cipher, error) {
	key, err := decodeKey(encodingAESKey)
	if err != nil {
		return nil, err
	}
	if token == "" {
		return nil, ErrBadToken
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadKey, err)
	}
	return &Cipher{
		Random:    rand.Reader,
		token:     token,
		receiveID: receiveID,
		block:     block,
		iv:        [aes.BlockSize]byte(key[:aes.BlockSize]),
	}, nil
}

// decodeKey returns the 32 bytes of AES key in a 43-character EncodingAESKey.
//
// The 43rd character carries two bits more than the key needs, and keys where
// they are set are in use. base64's Strict would refuse those.
func decodeKey(encodingAESKey string) ([]byte, error) {
	if len(encodingAESKey) != 43 {
		return nil, fmt.Errorf("%w: %d bytes long, want 43", ErrBadKey, len(encodingAESKey))
	}
	notAlphanumeric := func(r rune) bool {
		return !('0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z')
	}
	if strings.ContainsFunc(encodingAESKey, notAlphanumeric) {
		return nil, fmt.Errorf("%w: only letters and digits are allowed", ErrBadKey)
	}
	key, err := base64.StdEncoding.DecodeString(encodingAESKey + "=")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadKey, err)
	}
	return key, nil
}

// String hides the token and the key from logs.
func (c *Cipher) String() string { return "wecom.Cipher{…}" }

// GoString hides the token and the key from logs.
func (c *Cipher) GoString() string { return c.String() }

// Open checks and decrypts one callback. The signature is msg_signature of the
// URL, 40 lower-case hex digits; timestamp and nonce come from the URL as they
// are; encrypted is the echostr of the URL or the Encrypt of the body. The
// signature is compared in constant time, and nothing is decoded before it
// holds.
//
// It returns, in the order of the checks, ErrBadSignature, ErrBadBase64,
// ErrBadLength (the ciphertext), ErrBadPadding, ErrBadLength (the message) or
// ErrBadReceiveID. It does not judge whether the timestamp is recent.
//
// Source: https://developer.work.weixin.qq.com/document/path/90968
func (c *Cipher) Open(signature, timestamp, nonce, encrypted string) ([]byte, error) {
	want := sign(c.token, timestamp, nonce, encrypted)
	if subtle.ConstantTimeCompare([]byte(signature), want[:]) != 1 {
		return nil, ErrBadSignature
	}
	frame, err := decodeCiphertext(encrypted)
	if err != nil {
		return nil, err
	}
	if len(frame) == 0 || len(frame)%padUnit != 0 {
		return nil, ErrBadLength
	}
	cipher.NewCBCDecrypter(c.block, c.iv[:]).CryptBlocks(frame, frame)
	if frame, err = unpad(frame); err != nil {
		return nil, err
	}
	if len(frame) < headerBytes {
		return nil, ErrBadLength
	}
	length, rest := binary.BigEndian.Uint32(frame[randomBytes:]), frame[headerBytes:]
	if uint64(length) > uint64(len(rest)) {
		return nil, ErrBadLength
	}
	if string(rest[length:]) != c.receiveID {
		return nil, ErrBadReceiveID
	}
	return rest[:length:length], nil
}

// Seal encrypts and signs plain. The timestamp is in Unix seconds; a reply to
// an aibot repeats the nonce of the callback it answers.
//
// Like crypto/rand.Read, Seal has no error to return: it panics if Random
// fails, which the default cannot, or if plain has 4 GiB or more.
func (c *Cipher) Seal(plain []byte, timestamp int64, nonce string) Envelope {
	if uint64(len(plain)) > math.MaxUint32 {
		panic("wecom: message of 4 GiB or more")
	}
	size := headerBytes + len(plain) + len(c.receiveID)
	pad := padUnit - size%padUnit // 1 to 32

	frame := make([]byte, headerBytes, size+pad)
	if _, err := io.ReadFull(c.Random, frame[:randomBytes]); err != nil {
		panic("wecom: read random bytes: " + err.Error())
	}
	binary.BigEndian.PutUint32(frame[randomBytes:], uint32(len(plain)))
	frame = append(frame, plain...)
	frame = append(frame, c.receiveID...)
	for range pad {
		frame = append(frame, byte(pad))
	}
	cipher.NewCBCEncrypter(c.block, c.iv[:]).CryptBlocks(frame, frame)

	encrypted := base64.StdEncoding.EncodeToString(frame)
	signature := sign(c.token, strconv.FormatInt(timestamp, 10), nonce, encrypted)
	return Envelope{
		Encrypt:      encrypted,
		MsgSignature: string(signature[:]),
		TimeStamp:    timestamp,
		Nonce:        nonce,
	}
}

// sign returns the message signature in lower-case hex: the SHA-1 of the four
// strings, sorted by bytes and joined.
func sign(token, timestamp, nonce, encrypted string) [2 * sha1.Size]byte {
	parts := [...]string{token, timestamp, nonce, encrypted}
	slices.Sort(parts[:])
	joined := make([]byte, 0, len(token)+len(timestamp)+len(nonce)+len(encrypted))
	for _, part := range parts {
		joined = append(joined, part...)
	}
	sum := sha1.Sum(joined)
	var signature [2 * sha1.Size]byte
	hex.Encode(signature[:], sum[:])
	return signature
}

// decodeCiphertext decodes canonical, padded, standard base64 or returns
// ErrBadBase64. Package base64 skips line ends even when strict, so they are
// refused first.
func decodeCiphertext(encrypted string) ([]byte, error) {
	if strings.ContainsAny(encrypted, "\r\n") {
		return nil, ErrBadBase64
	}
	frame, err := base64.StdEncoding.Strict().DecodeString(encrypted)
	if err != nil {
		return nil, ErrBadBase64
	}
	return frame, nil
}

// unpad removes the PKCS#7 padding of a non-empty frame or returns
// ErrBadPadding.
func unpad(frame []byte) ([]byte, error) {
	pad := int(frame[len(frame)-1])
	if pad < 1 || pad > padUnit || pad > len(frame) {
		return nil, ErrBadPadding
	}
	body, padding := frame[:len(frame)-pad], frame[len(frame)-pad:]
	if bytes.Count(padding, padding[:1]) != pad {
		return nil, ErrBadPadding
	}
	return body, nil
}
