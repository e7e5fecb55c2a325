package frame

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Proxies are the networks of the reverse proxies that are believed about whom
// they speak for.
type Proxies []netip.Prefix

func (p Proxies) hold(addr netip.Addr) bool {
	for _, network := range p {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// Client returns the address that a request comes from, without a zone, and
// whether the visitor speaks https. What X-Forwarded-For says counts from its
// end, for as long as a trusted proxy has said it: the first address that is
// no proxy's is the client's. It is not valid where the server does not say
// who has connected.
func (p Proxies) Client(r *http.Request) (addr netip.Addr, https bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, r.TLS != nil
	}
	addr, https = peer.Addr().Unmap().WithZone(""), r.TLS != nil
	if !p.hold(addr) {
		return addr, https
	}
	if proto := r.Header.Values("X-Forwarded-Proto"); len(proto) > 0 {
		https = strings.EqualFold(lastOf(proto[len(proto)-1]), "https")
	}
	said := strings.Join(r.Header.Values("X-Forwarded-For"), ",") // a header given several times is one list
	for p.hold(addr) {
		last, ok := forwarded(lastOf(said))
		if !ok {
			break
		}
		addr, said = last, said[:max(0, strings.LastIndexByte(said, ','))]
	}
	return addr, https
}

// lastOf returns the last entry of a list.
func lastOf(list string) string { return strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:]) }

// forwarded reads an entry of X-Forwarded-For: an address, to which some
// proxies add a port.
func forwarded(entry string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil {
		return addr.Unmap().WithZone(""), true
	}
	with, err := netip.ParseAddrPort(entry)
	return with.Addr().Unmap().WithZone(""), err == nil
}

// Front is what every request passes first: from there on RemoteAddr is the
// client's, whatever proxies there are, and every answer, also of what serves
// no pages, says that browsers may do nothing with it. Pages have more to say;
// see [Headers].
func Front(next http.Handler, p Proxies) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		addr, https := p.Client(r)
		if https {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if known, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && known.Addr().Unmap().WithZone("") != addr {
			r = r.WithContext(r.Context()) // a copy: the server keeps its own
			r.RemoteAddr = netip.AddrPortFrom(addr, 0).String()
		}
		next.ServeHTTP(w, r)
	})
}

// Address returns the address a request comes from, as a key for limits and a
// word for logs: RemoteAddr without its port, see [Front]. IPv6 counts by the
// /64 that one customer usually has.
func Address(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	addr := peer.Addr().Unmap().WithZone("")
	if addr.Is6() {
		network, _ := addr.Prefix(64) // of 128 bits there are always 64
		return network.String()
	}
	return addr.String()
}

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
