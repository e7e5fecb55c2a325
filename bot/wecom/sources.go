package wecom

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"qunbot/store"
)

const (
	sourcesLife  = time.Hour       // of a list, before it is asked for again
	sourcesRetry = 5 * time.Minute // after a list could not be had
	sourcesName  = "wecom.callback_sources"
)

// errForeignSource is why a callback from elsewhere is refused.
var errForeignSource = errors.New("wecom: not from an address that WeCom names (getcallbackip); see wecom.check_source")

// Sources are the addresses that the platform's callbacks come from, as it
// says itself. The list is kept in the database, so that a restart, and a
// platform that cannot be asked, leave the last one in force. As long as there
// has never been one, every address is let in: a list that cannot be had must
// not stop the mall, and callbacks are signed.
//
// Source: https://developer.work.weixin.qq.com/document/path/90930
type Sources struct {
	calls *transport
	db    *store.Store
	now   func() time.Time
	log   *slog.Logger
	list  atomic.Pointer[sourceList] // nil: none is known

	next time.Time // when to ask again; used by Run alone
}

// A sourceList is a list as it is kept.
type sourceList struct {
	At       time.Time      `json:"at"`
	Networks []netip.Prefix `json:"networks"`
}

// NewSources returns the list that the database has. Run keeps it fresh.
func NewSources(ctx context.Context, api *API, db *store.Store, now func() time.Time, log *slog.Logger) (*Sources, error) {
	if len(api.secrets) == 0 {
		return nil, errNoSecret("getcallbackip")
	}
	s := &Sources{calls: api.secrets[0].calls, db: db, now: now, log: log}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	if s.list.Load() == nil {
		log.Warn("addresses of callbacks not known yet: all are let in")
	}
	return s, nil
}

// Run asks for the list once an hour until ctx is done.
func (s *Sources) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			timer.Reset(time.Minute)
		case <-ctx.Done():
			return nil
		}
		if err := s.refresh(ctx); err != nil && ctx.Err() == nil {
			s.next = s.now().Add(sourcesRetry)
			s.log.Warn("addresses of callbacks not refreshed", "known", s.known(), "err", err)
		}
	}
}

func (s *Sources) known() int {
	if list := s.list.Load(); list != nil {
		return len(list.Networks)
	}
	return 0
}

// refresh asks for the list, unless this process or another replica did so
// less than sourcesLife ago.
func (s *Sources) refresh(ctx context.Context) error {
	now := s.now()
	if now.Before(s.next) {
		return nil
	}
	if err := s.load(ctx); err != nil {
		return err
	}
	if list := s.list.Load(); list != nil && now.Sub(list.At).Abs() < sourcesLife {
		s.next = list.At.Add(sourcesLife)
		return nil
	}
	answer, err := callbackAddresses(ctx, s.calls)
	if err != nil {
		return err
	}
	fresh := sourceList{At: now.UTC()}
	for _, text := range answer {
		network, err := parseSource(text)
		if err != nil {
			s.log.Warn("address of callbacks not understood", "entry", text)
			continue
		}
		fresh.Networks = append(fresh.Networks, network)
	}
	if len(fresh.Networks) == 0 { // never a list that lets nobody in
		return fmt.Errorf("getcallbackip named %d addresses, none of them usable", len(answer))
	}
	err = s.db.Update(ctx, func(tx *store.Tx) error { return tx.SetSetting(tx.Context(), sourcesName, fresh) })
	if err != nil {
		return err
	}
	s.list.Store(&fresh)
	s.next = now.Add(sourcesLife)
	return nil
}

// load takes over the list of the database, if there is one.
func (s *Sources) load(ctx context.Context) error {
	var stored sourceList
	err := s.db.View(ctx, func(tx *store.Tx) error { return tx.Setting(tx.Context(), sourcesName, &stored) })
	if err == nil && len(stored.Networks) > 0 {
		s.list.Store(&stored)
	}
	return err
}

// allow reports whether a callback may come from remote, "address:port".
func (s *Sources) allow(remote string) bool {
	list := s.list.Load()
	if list == nil {
		return true
	}
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	addr := peer.Addr().Unmap().WithZone("")
	for _, network := range list.Networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// callbackAddresses asks the platform where its callbacks come from.
func callbackAddresses(ctx context.Context, calls *transport) ([]string, error) {
	var answer struct {
		IPList []string `json:"ip_list"`
	}
	err := calls.get(ctx, "getcallbackip", nil, &answer)
	return answer.IPList, err
}

// parseSource reads an entry of the platform's list: an address, a network, or
// an IPv4 address whose last parts are "*", such as "101.226.103.*".
func parseSource(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	if network, err := netip.ParsePrefix(text); err == nil && network.Bits() > 0 {
		return network.Masked(), nil
	}
	bits := -1
	parts := strings.Split(text, ".")
	for i, part := range parts {
		switch {
		case part == "*" && bits < 0:
			bits, parts[i] = 8*i, "0"
		case part == "*":
			parts[i] = "0"
		case bits >= 0:
			return netip.Prefix{}, fmt.Errorf("wecom: %s has a star before its end", strconv.Quote(text))
		}
	}
	addr, err := netip.ParseAddr(strings.Join(parts, "."))
	if err != nil || addr.Zone() != "" || bits == 0 {
		return netip.Prefix{}, fmt.Errorf("wecom: %s is no address", strconv.Quote(text))
	}
	if bits < 0 {
		bits = addr.BitLen()
	}
	return addr.Prefix(bits)
}
