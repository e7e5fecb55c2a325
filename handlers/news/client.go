package news

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// Limits of reading one feed.
const (
	fetchTimeout = 10 * time.Second // from the first connection to the last byte, redirects included
	maxBody      = 2 << 20          // bytes, unpacked
	maxRedirects = 3
)

// A fetchError says to operators why a feed could not be read.
type fetchError string

func (e fetchError) Error() string { return string(e) }

// errPrivate refuses an address that is not public.
type errPrivate struct{ addr string }

func (e errPrivate) Error() string {
	return "地址 " + e.addr + " 不是公网地址，已拒绝；内部网络的来源要设置 news.allow_private_addresses: true"
}

// newClient returns a client that reads feeds and connects only where allowed
// says, nil being everywhere. Every address is looked at when it is connected
// to, so neither a redirect nor a name that changes its address leads elsewhere.
// Proxies of the environment are not used: they would connect for it.
func newClient(allowed func(netip.Addr, uint16) bool) *http.Client {
	dialer := &net.Dialer{Timeout: fetchTimeout}
	if allowed != nil {
		dialer.ControlContext = func(_ context.Context, network, address string, _ syscall.RawConn) error {
			a, err := netip.ParseAddrPort(address)
			if err != nil || !strings.HasPrefix(network, "tcp") || !allowed(a.Addr(), a.Port()) {
				return errPrivate{address}
			}
			return nil
		}
	}
	return &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			DisableKeepAlives:      true,
			TLSHandshakeTimeout:    fetchTimeout,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fetchError(fmt.Sprintf("转了 %d 次还没到，最多 %d 次", len(via), maxRedirects))
			}
			return checkAddress(r.URL)
		},
	}
}

// checkAddress refuses what is no address of a feed.
func checkAddress(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fetchError("只能读 http 和 https 地址")
	case u.Host == "" || u.Hostname() == "":
		return fetchError("地址里没有主机名")
	case u.User != nil:
		return fetchError("地址里不能带用户名和密码")
	}
	return nil
}

// special are the networks within the unicast space that are not, or not
// directly, part of the public internet.
// Sources: https://www.iana.org/assignments/iana-ipv4-special-registry and
// https://www.iana.org/assignments/iana-ipv6-special-registry
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carrier-grade NAT, and the metadata address of some clouds
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"), // Teredo, ORCHID and others
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4: an IPv4 address inside
	netip.MustParsePrefix("3fff::/20"),
}

// globalIPv6 is all of IPv6 that is given out as public addresses; what
// translates to IPv4, such as 64:ff9b::/96, lies outside.
var globalIPv6 = netip.MustParsePrefix("2000::/3")

// public reports whether addr is on the public internet.
func public(addr netip.Addr, _ uint16) bool {
	addr = addr.Unmap() // ::ffff:127.0.0.1 is 127.0.0.1
	if !addr.IsValid() || addr.Zone() != "" || !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return false
	}
	if addr.Is6() && !globalIPv6.Contains(addr) {
		return false
	}
	for _, p := range special {
		if p.Contains(addr) {
			return false
		}
	}
	return true
}

// An answer is what the server of a feed said.
type answer struct {
	Unchanged          bool // since the last good answer
	Body               []byte
	ETag, LastModified string
	URL                *url.URL // after redirects
}

// get asks for a feed. etag and modified are those of its last good answer. Its
// errors are in Chinese.
func get(ctx context.Context, client *http.Client, address, etag, modified string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return answer{}, fetchError("地址写得不对")
	}
	if err := checkAddress(r.URL); err != nil {
		return answer{}, err
	}
	r.Header.Set("User-Agent", "qunbot (feed reader)")
	r.Header.Set("Accept", "application/rss+xml, application/atom+xml, application/xml;q=0.9, application/feed+json;q=0.9, */*;q=0.5")
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	if modified != "" {
		r.Header.Set("If-Modified-Since", modified)
	}
	resp, err := client.Do(r)
	if err != nil {
		return answer{}, explain(err)
	}
	defer resp.Body.Close()
	a := answer{ETag: short(resp.Header.Get("ETag"), 500), LastModified: short(resp.Header.Get("Last-Modified"), 100), URL: resp.Request.URL}
	switch {
	case resp.StatusCode == http.StatusNotModified && (etag != "" || modified != ""):
		a.Unchanged = true
		return a, nil
	case resp.StatusCode != http.StatusOK:
		return answer{}, fetchError(fmt.Sprintf("对方回答 %d，不是 200", resp.StatusCode))
	}
	a.Body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1)) // unpacked bytes count: no gzip bombs
	if err != nil {
		return answer{}, explain(err)
	}
	if len(a.Body) > maxBody {
		return answer{}, fetchError("内容超过 2 MB，没有读")
	}
	return a, nil
}

// short returns s, or nothing if it is longer than a column of n characters:
// half of an ETag is no ETag.
func short(s string, n int) string {
	if len(s) > n {
		return ""
	}
	return s
}

// explain puts a client's error into Chinese.
func explain(err error) error {
	if refused, ok := errors.AsType[errPrivate](err); ok {
		return fetchError(refused.Error())
	}
	if known, ok := errors.AsType[fetchError](err); ok {
		return known
	}
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fetchError("10 秒内没有读完")
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return fetchError("找不到这个域名")
	}
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err // the address is shown beside it
	}
	return fetchError("连接不上：" + err.Error())
}
