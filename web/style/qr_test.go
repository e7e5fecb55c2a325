package style

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"strings"
	"testing"
)

func TestQR(t *testing.T) {
	src, err := QR("https://example.com/?a=" + strings.Repeat("x", 300))
	if err != nil {
		t.Fatal(err)
	}
	data, ok := strings.CutPrefix(string(src), "data:image/png;base64,")
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil || !ok {
		t.Fatalf("QR = %.40s, %v; want the data of a picture", src, err)
	}
	picture, err := png.Decode(bytes.NewReader(raw))
	if err != nil || picture.Bounds().Dx() != 480 || picture.Bounds().Dy() != 480 {
		t.Errorf("picture = %v, %v; want 480 by 480 px", picture.Bounds(), err)
	}
	if _, err := QR(strings.Repeat("x", 3000)); err == nil {
		t.Error("QR of a text that is too long = nil, want an error")
	}
}
