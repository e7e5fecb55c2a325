package wecom

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestEnvelopeVectors(t *testing.T) {
	for _, v := range readVectors(t).Envelopes {
		t.Run(v.Name, func(t *testing.T) {
			c, err := NewCipher(v.Token, v.EncodingAESKey, v.ReceiveID)
			if err != nil {
				t.Fatal(err)
			}
			switch v.Kind {
			case "get_verify":
				plain, err := c.OpenEcho(parseQuery(t, v.Query))
				checkOpened(t, v.Expect, v.ResponseBody, plain, err)
			case "post_xml", "post_json":
				plain, err := c.OpenPost(parseQuery(t, v.Query), []byte(v.Body))
				checkOpened(t, v.Expect, v.Plaintext, plain, err)
			case "reply_xml":
				e := checkSeal(t, c, v.vector)
				checkReply(t, c, v, e.XML())
			case "reply_json":
				e := checkSeal(t, c, v.vector)
				checkReply(t, c, v, e.JSON())
			default:
				t.Fatalf("unknown kind %q", v.Kind)
			}
		})
	}
}

func parseQuery(t *testing.T, query string) url.Values {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func checkOpened(t *testing.T, expect string, want *string, plain []byte, err error) {
	t.Helper()
	if got := verdict(err); got != expect {
		t.Fatalf("got %s (%v), want %s", got, err, expect)
	}
	if expect == "ok" && string(plain) != *want {
		t.Errorf("got %q, want %q", plain, *want)
	}
}

// checkReply compares a written reply with the vector and reads it again.
func checkReply(t *testing.T, c *Cipher, v httpCase, body []byte) {
	t.Helper()
	if string(body) != v.Body {
		t.Errorf("wrote %s, want %s", body, v.Body)
	}
	e, err := ParseEnvelope([]byte(v.Body))
	if err != nil {
		t.Fatalf("ParseEnvelope(%s): %v", v.Body, err)
	}
	if plain, err := c.OpenEnvelope(e); err != nil || string(plain) != *v.Plaintext {
		t.Errorf("OpenEnvelope(%+v) = %q, %v, want %q", e, plain, err, *v.Plaintext)
	}
}

func TestParseDelivery(t *testing.T) {
	tests := []struct {
		name, body string
		want       Delivery
	}{
		{"cdata", `<xml><ToUserName><![CDATA[ww1]]></ToUserName><AgentID><![CDATA[7]]></AgentID><Encrypt><![CDATA[AA==]]></Encrypt></xml>`, Delivery{"ww1", "7", "AA=="}},
		{"blanks around cdata", "\n<xml>\n<Encrypt>\n <![CDATA[AA==]]>\n</Encrypt>\n</xml>\n", Delivery{Encrypt: "AA=="}},
		{"XML's own entities", `<xml><ToUserName>a&amp;b&#65;</ToUserName><Encrypt>AA</Encrypt></xml>`, Delivery{ToUserName: "a&bA", Encrypt: "AA"}},
		{"unknown nested element", `<xml><More><Encrypt>no</Encrypt></More><Encrypt>yes</Encrypt></xml>`, Delivery{Encrypt: "yes"}},
		{"JSON of an app", `{"tousername":"ww1","encrypt":"AA","agentid":"7"}`, Delivery{"ww1", "7", "AA"}},
		{"number as agentid", `{"encrypt":"AA","agentid":1000002}`, Delivery{AgentID: "1000002", Encrypt: "AA"}},
		{"null agentid", `{"encrypt":"AA","agentid":null}`, Delivery{Encrypt: "AA"}},
		{"JSON of a bot", ` {"encrypt":"AA"}`, Delivery{Encrypt: "AA"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseDelivery([]byte(tt.body))
			if err != nil || got != tt.want {
				t.Errorf("ParseDelivery(%s) = %+v, %v, want %+v", tt.body, got, err, tt.want)
			}
		})
	}
}

func TestParseDeliveryRefuses(t *testing.T) {
	tests := []struct{ name, body string }{
		{"nothing", ""},
		{"blank", " \n"},
		{"text", "encrypt"},
		{"array", `[{"encrypt":"AA"}]`},
		{"no ciphertext in JSON", `{}`},
		{"null ciphertext", `{"encrypt":null}`},
		{"number as ciphertext", `{"encrypt":1}`},
		{"object as agentid", `{"encrypt":"AA","agentid":{}}`},
		{"cut JSON", `{"encrypt":"AA"`},
		{"two JSON values", `{"encrypt":"AA"}{"encrypt":"BB"}`},
		{"no ciphertext in XML", `<xml></xml>`},
		{"blank ciphertext", `<xml><Encrypt> </Encrypt></xml>`},
		{"cut XML", `<xml><Encrypt>AA</Encrypt>`},
		{"crossed elements", `<xml><Encrypt>AA</xml></Encrypt>`},
		{"other root", `<html><Encrypt>AA</Encrypt></html>`},
		{"two roots", `<xml><Encrypt>AA</Encrypt></xml><xml/>`},
		{"text after root", `<xml><Encrypt>AA</Encrypt></xml>more`},
		{"text before root", `<?xml version="1.0"?>more<xml><Encrypt>AA</Encrypt></xml>`},
		{"ciphertext twice", `<xml><Encrypt>AA</Encrypt><Encrypt>BB</Encrypt></xml>`},
		{"document type", `<!DOCTYPE xml><xml><Encrypt>AA</Encrypt></xml>`},
		{"undeclared entity", `<xml><Encrypt>&e;</Encrypt></xml>`},
		{"other encoding", `<?xml version="1.0" encoding="GBK"?><xml><Encrypt>AA</Encrypt></xml>`},
		{"deep", `<xml><Encrypt>AA</Encrypt>` + strings.Repeat("<a>", maxXMLDepth) + strings.Repeat("</a>", maxXMLDepth) + `</xml>`},
		{"large", `{"encrypt":"` + strings.Repeat("A", MaxDeliveryBytes) + `"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ParseDelivery([]byte(tt.body)); !errors.Is(err, ErrBadEnvelope) {
				t.Errorf("ParseDelivery(%.80s) = %+v, %v, want %v", tt.body, got, err, ErrBadEnvelope)
			}
		})
	}
}

func TestParseEnvelopeRefuses(t *testing.T) {
	tests := []struct{ name, body string }{
		{"nothing", ""},
		{"success", "success"},
		{"string as timestamp", `{"encrypt":"AA","msgsignature":"s","timestamp":"1795219401","nonce":"n"}`},
		{"name of the query", `{"encrypt":"AA","msg_signature":"s","timestamp":1795219401,"nonce":"n"}`},
		{"no nonce", `{"encrypt":"AA","msgsignature":"s","timestamp":1795219401}`},
		{"no timestamp in XML", `<xml><Encrypt>AA</Encrypt><MsgSignature>s</MsgSignature><Nonce>n</Nonce></xml>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ParseEnvelope([]byte(tt.body)); !errors.Is(err, ErrBadEnvelope) {
				t.Errorf("ParseEnvelope(%s) = %+v, %v, want %v", tt.body, got, err, ErrBadEnvelope)
			}
		})
	}
}

// A reply with an image is far larger than any callback.
func TestParseEnvelopeReadsImages(t *testing.T) {
	want := Envelope{Encrypt: strings.Repeat("A", 4*MaxDeliveryBytes), MsgSignature: "s", TimeStamp: 1795219401, Nonce: "n"}
	for flavour, body := range map[string][]byte{"JSON": want.JSON(), "XML": want.XML()} {
		if got, err := ParseEnvelope(body); err != nil || got != want {
			t.Errorf("ParseEnvelope(%s of %d bytes) = %d bytes, %v, want %d", flavour, len(body), len(got.Encrypt), err, len(want.Encrypt))
		}
	}
}

func TestDeliveryWrites(t *testing.T) {
	d := Delivery{ToUserName: "ww1", AgentID: "7", Encrypt: "A+/="}
	if got, want := string(d.JSON()), `{"tousername":"ww1","encrypt":"A+/=","agentid":"7"}`; got != want {
		t.Errorf("%+v.JSON() = %s, want %s", d, got, want)
	}
	if got, want := string(d.XML()), `<xml><ToUserName><![CDATA[ww1]]></ToUserName><Encrypt><![CDATA[A+/=]]></Encrypt><AgentID><![CDATA[7]]></AgentID></xml>`; got != want {
		t.Errorf("%+v.XML() = %s, want %s", d, got, want)
	}
	bot := Delivery{Encrypt: "A+/="}
	if got, want := string(bot.JSON()), `{"encrypt":"A+/="}`; got != want {
		t.Errorf("%+v.JSON() = %s, want %s", bot, got, want)
	}
	tricky := Delivery{ToUserName: "]]>]]><Encrypt>x</Encrypt>", Encrypt: "AA"}
	if got, err := ParseDelivery(tricky.XML()); err != nil || got != tricky {
		t.Errorf("ParseDelivery(%s) = %+v, %v, want %+v", tricky.XML(), got, err, tricky)
	}
}

func FuzzEnvelope(f *testing.F) {
	for _, v := range readVectors(f).Envelopes {
		f.Add([]byte(v.Body))
	}
	f.Add([]byte(`<xml><Encrypt><![CDATA[]]]]><![CDATA[>]]></Encrypt><a><b/></a></xml>`))
	f.Add([]byte(`{"encrypt":"\u0000","agentid":-1e9}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := ParseDelivery(body)
		if err != nil && !errors.Is(err, ErrBadEnvelope) {
			t.Errorf("ParseDelivery(%q): %v, want %v", body, err, ErrBadEnvelope)
		}
		if err == nil {
			checkRoundTrip(t, ParseDelivery, d, d.JSON())
			if survivesXML(d.ToUserName+d.AgentID+d.Encrypt) && d == trimmed(d) {
				checkRoundTrip(t, ParseDelivery, d, d.XML())
			}
		}
		e, err := ParseEnvelope(body)
		if err != nil && !errors.Is(err, ErrBadEnvelope) {
			t.Errorf("ParseEnvelope(%q): %v, want %v", body, err, ErrBadEnvelope)
		}
		if err == nil {
			checkRoundTrip(t, ParseEnvelope, e, e.JSON())
		}
	})
}

// checkRoundTrip reads what was written from want. What has grown too large by
// escapes is not read.
func checkRoundTrip[T comparable](t *testing.T, parse func([]byte) (T, error), want T, body []byte) {
	t.Helper()
	if len(body) > MaxDeliveryBytes {
		return
	}
	if got, err := parse(body); err != nil || got != want {
		t.Errorf("parse(%q) = %+v, %v, want %+v", body, got, err, want)
	}
}

// survivesXML reports whether XML can carry s: no control characters.
func survivesXML(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' || r == 0xFFFE || r == 0xFFFF
	})
}

// trimmed returns d as XML would give it back.
func trimmed(d Delivery) Delivery {
	return Delivery{strings.TrimSpace(d.ToUserName), strings.TrimSpace(d.AgentID), strings.TrimSpace(d.Encrypt)}
}
