package simulator

import "net/http"

type desk struct{ stopped map[string]bool }
type sessionState struct{}
type menu struct{}

func (s *Simulator) newDesk(KFAccount) *desk       { return &desk{stopped: map[string]bool{}} }
func (s *Simulator) kfEndpoints() []endpoint       { return nil }
func (s *Simulator) sessionStates() []sessionState { return nil }
func (s *Simulator) kfSay(chat Chat, person Person, text, menu string) (line, *delivery, error) {
	return line{}, nil, errNoChat
}
func (s *Simulator) serveEnter(_ http.ResponseWriter, a ask) (any, error) { return nil, errNoChat }
func (s *Simulator) serveClick(_ http.ResponseWriter, a ask) (any, error) { return nil, errNoChat }
func (s *Simulator) serveDesk(_ http.ResponseWriter, a ask) (any, error)  { return nil, errNoChat }
