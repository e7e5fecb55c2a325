package frame

import (
	"fmt"
	"net/url"
	"strings"
)

// Origin returns the scheme and host of the public address.
func Origin(publicURL string) (string, error) {
	u, err := url.Parse(publicURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "", fmt.Errorf("public_url %q must look like https://fans.example.com", publicURL)
	}
	return u.Scheme + "://" + u.Host, nil
}

// Local reports whether path is one of this site below prefix (empty: any), so
// that going there cannot lead away.
func Local(path, prefix string) bool {
	u, err := url.Parse(path)
	if err != nil || u.IsAbs() || u.Host != "" || strings.ContainsAny(path, "\\\r\n\t") {
		return false
	}
	return strings.HasPrefix(u.Path, "/") && (u.Path == prefix || strings.HasPrefix(u.Path, prefix+"/"))
}
