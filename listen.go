package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"qunbot/config"
	"qunbot/web/frame"
)

// listen opens the addresses of the settings: of the web server and, where it
// has one of its own, of the console. Where a port is 0, cfg gets the real one,
// so that every link that is printed or sent works.
func listen(cfg *config.Config) (listeners []net.Listener, err error) {
	addresses := []*string{&cfg.Listen}
	if cfg.ConsoleListen != "" {
		addresses = append(addresses, &cfg.ConsoleListen)
	}
	for _, address := range addresses {
		l, err := net.Listen("tcp", *address)
		if err != nil {
			closeAll(listeners)
			return nil, fmt.Errorf("监听 %s：%w；换一个地址，或先停掉占用它的程序", *address, err)
		}
		listeners = append(listeners, l)
		if host, port, err := net.SplitHostPort(*address); err == nil && port == "0" {
			_, port, _ = net.SplitHostPort(l.Addr().String())
			*address = net.JoinHostPort(host, port)
		}
	}
	return listeners, nil
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		l.Close()
	}
}

// siteURL returns the address of what listens at an address of the settings,
// for a browser on this machine.
func siteURL(cfg config.Config, listen string) string {
	scheme := "http"
	if cfg.TLS != (config.TLS{}) {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(listen)
	if addr, ip := netip.ParseAddr(host); err == nil && (host == "" || ip == nil && addr.IsUnspecified()) {
		listen = net.JoinHostPort("127.0.0.1", port)
	}
	return scheme + "://" + listen
}

// secured puts in front of srv what every request passes first, and gives it
// cert, unless that is nil.
func secured(srv *http.Server, proxies frame.Proxies, cert *certificate, log *slog.Logger) *http.Server {
	srv.Handler = frame.Front(srv.Handler, proxies)
	srv.ErrorLog = stdlog.New(serverLog{log}, "", 0)
	if cert != nil {
		srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: cert.get}
	}
	return srv
}

// A serverLog logs what a web server complains of. Handshakes that scanners
// break off would fill the log.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	level := slog.LevelError
	if bytes.Contains(line, []byte("TLS handshake error")) {
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, "web server", "err", strings.TrimSpace(string(line)))
	return len(line), nil
}

// certificateCheck is how often the certificate's files are looked at.
const certificateCheck = 10 * time.Second

// A certificate is read again when its files have changed, so that a renewal
// needs no restart. One that cannot be read leaves the old one in use.
type certificate struct {
	files config.TLS
	now   func() time.Time
	log   *slog.Logger

	mu     sync.Mutex
	pair   tls.Certificate
	state  string    // of the files when they were last read
	looked time.Time // when they were last looked at
}

func loadCertificate(files config.TLS, now func() time.Time, log *slog.Logger) (*certificate, error) {
	c := &certificate{files: files, now: now, log: log, looked: now()}
	c.state = c.filesState()
	var err error
	c.pair, err = readPair(files)
	return c, err
}

func readPair(files config.TLS) (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		return pair, fmt.Errorf("https 证书：%w。请检查 tls.cert_file 和 tls.key_file 能不能读、是不是同一张证书的（证书在前，中间证书在后）", err)
	}
	return pair, nil
}

// filesState changes whenever one of the files does.
func (c *certificate) filesState() (state string) {
	for _, name := range []string{c.files.CertFile, c.files.KeyFile} {
		if info, err := os.Stat(name); err == nil {
			state += fmt.Sprint(info.ModTime().UnixNano(), " ", info.Size(), "\n")
		}
	}
	return state
}

// get implements tls.Config's GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.looked).Abs() >= certificateCheck {
		c.looked = now
		if state := c.filesState(); state != c.state {
			c.state = state // a pair that is half written is read again when the rest is there
			pair, err := readPair(c.files)
			if err != nil {
				c.log.Error("certificate not reloaded, the old one stays", "err", err)
			} else {
				c.pair = pair
				c.log.Info("certificate reloaded", "until", pair.Leaf.NotAfter)
			}
		}
	}
	pair := c.pair
	return &pair, nil
}

// problems says what browsers or WeCom will not like about a certificate that
// serves publicURL.
func (c *certificate) problems(publicURL string) (list []string) {
	leaf, now := c.pair.Leaf, c.now()
	switch left := leaf.NotAfter.Sub(now); {
	case left <= 0:
		list = append(list, "https 证书在 "+leaf.NotAfter.Format(time.DateOnly)+" 已经过期，企业微信和手机都会拒绝连接。请续期后覆盖 "+c.files.CertFile+"，不用重启")
	case now.Before(leaf.NotBefore):
		list = append(list, "https 证书要到 "+leaf.NotBefore.Format(time.DateOnly)+" 才生效。请检查这台机器的时间，或换一张证书")
	case left < 14*24*time.Hour:
		list = append(list, fmt.Sprintf("https 证书还有 %d 天就过期，请检查自动续期", int(left.Hours()/24)))
	}
	if u, err := url.Parse(publicURL); err == nil && u.Scheme == "https" && leaf.VerifyHostname(u.Hostname()) != nil {
		names := cmp.Or(strings.Join(leaf.DNSNames, "、"), leaf.Subject.CommonName)
		list = append(list, "https 证书不是给 "+u.Hostname()+" 的，它的域名是 "+names+"。请换证书，或改 public_url")
	}
	if len(c.pair.Certificate) == 1 && leaf.Issuer.String() != leaf.Subject.String() {
		list = append(list, "https 证书文件里没有中间证书，部分手机会不信任它。请用带完整证书链的文件（例如 fullchain.pem）")
	}
	return list
}
