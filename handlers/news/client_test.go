package news

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestPublic(t *testing.T) {
	for addr, want := range map[string]bool{
		"8.8.8.8": true, "223.5.5.5": true, "2400:3200::1": true,
		"127.0.0.1": false, "127.255.255.254": false, "::1": false,
		"10.0.0.1": false, "172.16.0.1": false, "172.32.0.1": true, "192.168.1.1": false, "fd00::1": false, "fc00::1": false,
		"169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false,
		"100.64.0.1": false, "100.100.100.200": false, "100.128.0.1": true,
		"224.0.0.1": false, "ff02::1": false, "239.255.255.250": false, "255.255.255.255": false, "240.0.0.1": false,
		"0.0.0.0": false, "0.1.2.3": false, "::": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:8.8.8.8": true,
		"::127.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b:1::1": false, "2002:7f00:1::": false, "2001::1": false,
		"192.0.2.1": false, "198.18.0.1": false, "198.51.100.1": false, "203.0.113.1": false, "2001:db8::1": false, "3fff::1": false, "fec0::1": false,
	} {
		if got := public(netip.MustParseAddr(addr), 80); got != want {
			t.Errorf("public(%s) = %t, want %t", addr, got, want)
		}
	}
	if public(netip.Addr{}, 80) {
		t.Error("public of no address = true, want false")
	}
}

// serve starts a server on loopback.
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestPrivateAddressesAreRefused(t *testing.T) {
	var asked atomic.Int32
	inside := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	port := inside.Listener.Addr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Port()
	for _, address := range []string{
		inside.URL, fmt.Sprintf("http://localhost:%d", port), fmt.Sprintf("http://[::ffff:127.0.0.1]:%d", port),
		fmt.Sprintf("http://0.0.0.0:%d", port), fmt.Sprintf("http://127.1:%d", port), fmt.Sprintf("http://2130706433:%d", port),
	} {
		if _, err := get(t.Context(), newClient(public), address, "", ""); err == nil {
			t.Errorf("get %s = nil, want an error", address)
		}
	}
	_, err := get(t.Context(), newClient(public), inside.URL, "", "")
	if err == nil || !strings.Contains(err.Error(), "不是公网地址") || !strings.Contains(err.Error(), "news.allow_private_addresses") {
		t.Errorf("get %s = %v, want it to say what to do", inside.URL, err)
	}

	// A redirect from an allowed place leads to one that is not.
	outside := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, inside.URL, http.StatusFound) })
	only := outside.Listener.Addr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Port()
	client := newClient(func(_ netip.Addr, p uint16) bool { return p == only })
	if _, err := get(t.Context(), client, outside.URL, "", ""); err == nil || !strings.Contains(err.Error(), "不是公网地址") {
		t.Errorf("get of a redirect to a private address = %v, want it refused", err)
	}
	if asked.Load() != 0 {
		t.Errorf("the private server was asked %d times, want never", asked.Load())
	}
}

func TestGet(t *testing.T) {
	long := bytes.Repeat([]byte("x"), maxBody+1)
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var hops int
		switch {
		case r.URL.Path == "/feed":
			w.Header().Set("ETag", `"v1"`)
			w.Header().Set("Last-Modified", "Sat, 21 Nov 2026 00:00:00 GMT")
			if r.Header.Get("If-None-Match") == `"v1"` && r.Header.Get("If-Modified-Since") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			w.Write([]byte("body"))
		case r.URL.Path == "/unasked304":
			w.WriteHeader(http.StatusNotModified)
		case r.URL.Path == "/long":
			w.Write(long)
		case r.URL.Path == "/exact":
			w.Write(long[:maxBody])
		case r.URL.Path == "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			for range 64 {
				z.Write(long)
			}
			z.Close()
		case r.URL.Path == "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case r.URL.Path == "/password":
			http.Redirect(w, r, "http://a:b@example.com/", http.StatusFound)
		case strings.HasPrefix(r.URL.Path, "/hops/"):
			fmt.Sscanf(r.URL.Path, "/hops/%d", &hops)
			if hops == 0 {
				w.Write([]byte("there"))
				return
			}
			http.Redirect(w, r, fmt.Sprintf("/hops/%d", hops-1), http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	})
	client := newClient(nil)
	first, err := get(t.Context(), client, server.URL+"/feed", "", "")
	if err != nil || string(first.Body) != "body" || first.ETag != `"v1"` {
		t.Fatalf("get = %+v, %v, want the body with its ETag", first, err)
	}
	second, err := get(t.Context(), client, server.URL+"/feed", first.ETag, first.LastModified)
	if err != nil || !second.Unchanged {
		t.Errorf("get again = %+v, %v, want unchanged", second, err)
	}
	for path, size := range map[string]int{"/exact": maxBody, "/hops/3": len("there")} {
		if a, err := get(t.Context(), client, server.URL+path, "", ""); err != nil || len(a.Body) != size {
			t.Errorf("get %s = %d bytes, %v, want %d", path, len(a.Body), err, size)
		}
	}
	for address, want := range map[string]string{
		server.URL + "/long":       "超过 2 MB",
		server.URL + "/bomb":       "超过 2 MB",
		server.URL + "/hops/4":     "最多 3 次",
		server.URL + "/file":       "只能读 http 和 https",
		server.URL + "/password":   "不能带用户名和密码",
		server.URL + "/gone":       "对方回答 404",
		server.URL + "/unasked304": "对方回答 304",
		"ftp://example.com/":       "只能读 http 和 https",
		"http://":                  "没有主机名",
		"http://a b/":              "地址写得不对",
		"http://127.0.0.1:1/":      "连接不上",
	} {
		if _, err := get(t.Context(), client, address, "", ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("get %s = %v, want an error with %q", address, err, want)
		}
	}
}

func TestSlowServers(t *testing.T) {
	started := make(chan struct{}, 2)
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("<rss>"))
		w.(http.Flusher).Flush()
		started <- struct{}{}
		<-r.Context().Done()
	})
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		<-started
		stop()
	}()
	if _, err := get(ctx, newClient(nil), server.URL, "", ""); err == nil {
		t.Error("get that was given up = nil, want an error")
	}
	client := newClient(nil)
	client.Timeout = 20 * time.Millisecond
	if _, err := get(t.Context(), client, server.URL, "", ""); err == nil || err.Error() != "10 秒内没有读完" {
		t.Errorf("get from a server that never ends = %v, want it to be given up", err)
	}
}
