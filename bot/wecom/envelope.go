package wecom

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
)

const (
	// MaxDeliveryBytes is the largest callback body that is read. It is a
	// limit of ours: WeCom states none, and sends a few kilobytes. Readers of
	// a request body should stop there.
	MaxDeliveryBytes = 1 << 20

	// MaxReplyBytes is the largest reply body that is read: a stream may end
	// with ten images of 10 MB, which base64 makes larger by a third twice.
	// Source: https://developer.work.weixin.qq.com/document/path/101031
	MaxReplyBytes = 192 << 20

	// maxXMLDepth is how deep the elements of an envelope may nest. WeCom
	// sends two levels; the rest is room for elements yet unknown.
	maxXMLDepth = 8
)

// A Delivery is the outer body of a callback that WeCom posts. Only Encrypt is
// protected by the signature: the other fields may help to route, but whoever
// sent the request could write anything there.
//
// Sources: https://developer.work.weixin.qq.com/document/path/90968 and, for
// the aibot, https://developer.work.weixin.qq.com/document/path/101033
type Delivery struct {
	ToUserName string // corp id; empty for an aibot
	AgentID    string // empty for an aibot, contact events and address-book events
	Encrypt    string // base64 of the encrypted message, never empty
}

// deliveryJSON is a Delivery on the wire.
type deliveryJSON struct {
	ToUserName string         `json:"tousername,omitempty"`
	Encrypt    string         `json:"encrypt"`
	AgentID    stringOrNumber `json:"agentid,omitempty"`
}

// ParseDelivery reads a posted body, JSON if it begins with "{" and XML if it
// begins with "<". It returns ErrBadEnvelope for anything else, for a body
// above MaxDeliveryBytes, and for one without ciphertext. The result is not
// to be trusted before Cipher.Open has accepted it.
func ParseDelivery(body []byte) (Delivery, error) {
	var d Delivery
	asJSON, err := isJSON(body, MaxDeliveryBytes)
	switch {
	case err != nil:
		return Delivery{}, err
	case asJSON:
		var wire deliveryJSON
		if err := json.Unmarshal(body, &wire); err != nil {
			return Delivery{}, badEnvelope(err)
		}
		d = Delivery{ToUserName: wire.ToUserName, AgentID: string(wire.AgentID), Encrypt: wire.Encrypt}
	default:
		fields, err := xmlFields(body)
		if err != nil {
			return Delivery{}, badEnvelope(err)
		}
		d = Delivery{ToUserName: fields["ToUserName"], AgentID: fields["AgentID"], Encrypt: fields["Encrypt"]}
	}
	if d.Encrypt == "" {
		return Delivery{}, badEnvelope(errors.New("no ciphertext"))
	}
	return d, nil
}

// JSON returns the body as an aibot receives it.
func (d Delivery) JSON() []byte {
	return mustJSON(deliveryJSON{ToUserName: d.ToUserName, Encrypt: d.Encrypt, AgentID: stringOrNumber(d.AgentID)})
}

// XML returns the body as an app receives it.
func (d Delivery) XML() []byte {
	return []byte("<xml><ToUserName>" + cdata(d.ToUserName) +
		"</ToUserName><Encrypt>" + cdata(d.Encrypt) +
		"</Encrypt><AgentID>" + cdata(d.AgentID) + "</AgentID></xml>")
}

// An Envelope is a sealed message with its signature: the body of a reply, or
// the parts from which the simulator makes a callback (see Query).
//
// Source: https://developer.work.weixin.qq.com/document/path/101033
type Envelope struct {
	Encrypt      string `json:"encrypt"`
	MsgSignature string `json:"msgsignature"` // 40 lower-case hex digits; the URL calls it msg_signature
	TimeStamp    int64  `json:"timestamp"`    // Unix seconds; a JSON number, not a string
	Nonce        string `json:"nonce"`
}

// ParseEnvelope reads a reply body, JSON or XML by its first byte. It returns
// ErrBadEnvelope if the body is neither, is above MaxReplyBytes, or lacks
// one of the four fields. An empty body, which means "no reply", is not an
// envelope either.
func ParseEnvelope(body []byte) (Envelope, error) {
	var e Envelope
	asJSON, err := isJSON(body, MaxReplyBytes)
	switch {
	case err != nil:
		return Envelope{}, err
	case asJSON:
		if err := json.Unmarshal(body, &e); err != nil {
			return Envelope{}, badEnvelope(err)
		}
	default:
		fields, err := xmlFields(body)
		if err != nil {
			return Envelope{}, badEnvelope(err)
		}
		seconds, err := strconv.ParseInt(fields["TimeStamp"], 10, 64)
		if err != nil {
			return Envelope{}, badEnvelope(err)
		}
		e = Envelope{
			Encrypt:      fields["Encrypt"],
			MsgSignature: fields["MsgSignature"],
			TimeStamp:    seconds,
			Nonce:        fields["Nonce"],
		}
	}
	if e.Encrypt == "" || e.MsgSignature == "" || e.TimeStamp <= 0 || e.Nonce == "" {
		return Envelope{}, badEnvelope(errors.New("a field is missing"))
	}
	return e, nil
}

// JSON returns the reply body of an aibot.
func (e Envelope) JSON() []byte { return mustJSON(e) }

// XML returns the reply body of an app.
func (e Envelope) XML() []byte {
	return []byte("<xml><Encrypt>" + cdata(e.Encrypt) +
		"</Encrypt><MsgSignature>" + cdata(e.MsgSignature) +
		"</MsgSignature><TimeStamp>" + strconv.FormatInt(e.TimeStamp, 10) +
		"</TimeStamp><Nonce>" + cdata(e.Nonce) + "</Nonce></xml>")
}

// Query returns the signed parameters that WeCom adds to the callback URL. For
// the verification of a URL, the caller also sets echostr to e.Encrypt.
func (e Envelope) Query() url.Values {
	return url.Values{
		"msg_signature": {e.MsgSignature},
		"timestamp":     {strconv.FormatInt(e.TimeStamp, 10)},
		"nonce":         {e.Nonce},
	}
}

// OpenEcho answers the verification of a callback URL: it returns the bytes
// that have to be the whole body of the answer, within one second. It returns
// ErrBadEnvelope if there is no echostr or a message in it, else the errors of
// Open.
//
// Source: https://developer.work.weixin.qq.com/document/path/90930
func (c *Cipher) OpenEcho(query url.Values) ([]byte, error) {
	echo := query.Get("echostr")
	if echo == "" {
		return nil, badEnvelope(errors.New("no echostr"))
	}
	plain, err := c.openQuery(query, echo)
	if err != nil {
		return nil, err
	}
	// A callback is signed as an echo is. What was recorded of one must not be
	// read to whoever asks for it here: an echo is a number, a message is JSON
	// or XML.
	if start := bytes.TrimSpace(plain); bytes.HasPrefix(start, []byte("{")) || bytes.HasPrefix(start, []byte("<")) {
		return nil, badEnvelope(errors.New("a message, not an echo"))
	}
	return plain, nil
}

// OpenPost returns the message in a posted callback. It returns the errors of
// ParseDelivery and Open.
func (c *Cipher) OpenPost(query url.Values, body []byte) ([]byte, error) {
	d, err := ParseDelivery(body)
	if err != nil {
		return nil, err
	}
	return c.openQuery(query, d.Encrypt)
}

// openQuery opens encrypted with the signature in the URL.
func (c *Cipher) openQuery(query url.Values, encrypted string) ([]byte, error) {
	return c.Open(query.Get("msg_signature"), query.Get("timestamp"), query.Get("nonce"), encrypted)
}

// OpenEnvelope returns the message in a reply; the simulator uses it. It
// returns the errors of Open.
func (c *Cipher) OpenEnvelope(e Envelope) ([]byte, error) {
	return c.Open(e.MsgSignature, strconv.FormatInt(e.TimeStamp, 10), e.Nonce, e.Encrypt)
}

// isJSON tells JSON from XML by the first byte that is not blank. It returns
// ErrBadEnvelope if the body is neither or has more than maxBytes.
func isJSON(body []byte, maxBytes int) (bool, error) {
	if len(body) > maxBytes {
		return false, badEnvelope(fmt.Errorf("%d bytes, at most %d are read", len(body), maxBytes))
	}
	switch start := bytes.TrimLeft(body, " \t\r\n"); {
	case bytes.HasPrefix(start, []byte("{")):
		return true, nil
	case bytes.HasPrefix(start, []byte("<")):
		return false, nil
	}
	return false, badEnvelope(errors.New("neither JSON nor XML"))
}

func badEnvelope(cause error) error { return fmt.Errorf("%w: %w", ErrBadEnvelope, cause) }

// A stringOrNumber is a JSON string that may also come as a number: the
// AgentID is one in some documents and the other in others.
type stringOrNumber string

func (s *stringOrNumber) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		return json.Unmarshal(data, (*string)(s))
	}
	var number json.Number
	if err := json.Unmarshal(data, &number); err != nil {
		return err
	}
	*s = stringOrNumber(number)
	return nil
}

// marshalJSON returns v as compact JSON. It leaves <, > and & as they are,
// because what is read is not HTML and escapes count into byte limits.
func marshalJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// mustJSON is marshalJSON for values of strings and integers, which cannot
// fail.
func mustJSON(v any) []byte {
	out, err := marshalJSON(v)
	if err != nil {
		panic(err)
	}
	return out
}

// cdata returns s as character data of XML. It is always well-formed if s has
// none of the control characters that XML forbids.
func cdata(s string) string {
	return "<![CDATA[" + strings.ReplaceAll(s, "]]>", "]]]]><![CDATA[>") + "]]>"
}

// xmlFields returns the trimmed text of each child of the root element <xml>,
// by name; text of deeper elements is left out. It refuses what an envelope
// has no use for and an attacker might: document types and with them entities,
// deep nesting, a field given twice, and anything after the root.
func xmlFields(body []byte) (map[string]string, error) {
	decoder := xml.NewDecoder(bytes.NewReader(body)) // strict: knows only XML's own five entities
	fields := make(map[string]string)
	var (
		path []string // names of the open elements, root first
		text []byte   // of the open child of the root
		done bool     // the root has been closed
	)
	for {
		token, err := decoder.Token()
		if err == io.EOF && done {
			return fields, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.Directive:
			return nil, errors.New("document type in XML")
		case xml.StartElement:
			path = append(path, token.Name.Local)
			switch {
			case done || path[0] != "xml":
				return nil, fmt.Errorf("unexpected root element <%s>", token.Name.Local)
			case len(path) > maxXMLDepth:
				return nil, fmt.Errorf("XML nested deeper than %d", maxXMLDepth)
			}
			text = text[:0]
		case xml.CharData:
			switch {
			case len(path) == 2:
				text = append(text, token...)
			case len(path) == 0 && len(bytes.TrimSpace(token)) > 0:
				return nil, errors.New("text outside the root element")
			}
		case xml.EndElement:
			if len(path) == 2 {
				if _, twice := fields[path[1]]; twice {
					return nil, fmt.Errorf("element <%s> given twice", path[1])
				}
				fields[path[1]] = string(bytes.TrimSpace(text))
			}
			path = path[:len(path)-1]
			done = len(path) == 0
		}
	}
}
