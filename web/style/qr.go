package style

import (
	"encoding/base64"
	"fmt"
	"html/template"

	"github.com/skip2/go-qrcode"
)

// QR returns text as a picture that a phone can scan at arm's length: the
// address of a PNG image of 480 by 480 px, for an img's src. It has no border:
// the page leaves white room around it, a tenth of its width at least.
func QR(text string) (template.URL, error) {
	code, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		return "", fmt.Errorf("make a QR code: %w", err)
	}
	code.DisableBorder = true
	png, err := code.PNG(480)
	if err != nil {
		return "", fmt.Errorf("make a QR code: %w", err)
	}
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(png)), nil
}
