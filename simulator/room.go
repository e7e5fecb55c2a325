package simulator

import (
	"crypto/rand"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"qunbot/bot/wecom"
)

// Limits of the chats that apps make (应用群聊).
//
// Sources: https://developer.work.weixin.qq.com/document/path/90245 and
// https://developer.work.weixin.qq.com/document/path/90312
const (
	minRoomMembers = 2
	maxRoomMembers = 2000
	maxRoomName    = 50   // characters
	maxRoomsADay   = 1000 // created
	maxRoomChanges = 1000 // in an hour
	maxRoomPosts   = 200  // to one member in a minute; more are dropped without a word
)

// A room is a chat that an app has made.
type room struct {
	Chat
	shown bool // something was said in it: before, no client lists it
}

// rooms are all of them, with a lock of their own: chats are looked up with
// and without the simulator's.
type rooms struct {
	mu   sync.RWMutex
	byID map[string]room
}

func (r *rooms) get(id string) (room, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	known, ok := r.byID[id]
	return known, ok
}

func (r *rooms) put(changed room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byID[changed.ID] = changed
}

// all returns the rooms in the order of their ids.
func (r *rooms) all() []room {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var list []room
	for _, id := range slices.Sorted(maps.Keys(r.byID)) {
		list = append(list, r.byID[id])
	}
	return list
}

// chat returns a chat, or a zero one.
func (s *Simulator) chat(id string) Chat {
	if chat := s.cfg.chat(id); chat.ID != "" {
		return chat
	}
	known, _ := s.rooms.get(id)
	return known.Chat
}

// roomForm is what the id of a room may look like.
var roomForm = regexp.MustCompile(`^[0-9A-Za-z]{1,32}$`)

func (s *Simulator) roomEndpoints() []endpoint {
	return []endpoint{
		{method: http.MethodPost, path: "appchat/create", handle: s.createRoom},
		{method: http.MethodPost, path: "appchat/update", handle: s.updateRoom},
		{method: http.MethodGet, path: "appchat/get", handle: s.getRoom},
		{method: http.MethodPost, path: "appchat/send", handle: s.sendToRoom},
	}
}

// createRoom makes a chat. Nobody sees it before the app's first message.
//
// Source: https://developer.work.weixin.qq.com/document/path/90245
func (s *Simulator) createRoom(c *call) (any, error) {
	var ask struct {
		Name    string   `json:"name"`
		Owner   string   `json:"owner"`
		Members []string `json:"userlist"`
		ID      string   `json:"chatid"`
	}
	if err := c.read(&ask); err != nil {
		return nil, err
	}
	slices.Sort(ask.Members)
	ask.Members = slices.Compact(ask.Members)
	if ask.ID == "" {
		ask.ID = rand.Text()
	}
	switch {
	case len(c.app.Scope) > 0:
		return nil, apiError{60011, "no privilege: the app's scope is not the root department"}
	case !roomForm.MatchString(ask.ID):
		return nil, apiError{86001, "invalid chatid"}
	case s.chat(ask.ID).ID != "":
		return nil, apiError{86215, "chatid exists"}
	case utf8.RuneCountInString(ask.Name) > maxRoomName:
		return nil, apiError{86004, "invalid chat name"}
	case len(ask.Members) < minRoomMembers || len(ask.Members) > maxRoomMembers:
		return nil, apiError{86006, "invalid chat member count"}
	}
	if err := s.checkMembers(ask.Members); err != nil {
		return nil, err
	}
	if ask.Owner == "" {
		ask.Owner = ask.Members[0]
	}
	if !slices.Contains(ask.Members, ask.Owner) {
		return nil, apiError{86207, "owner is not in the member list"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.allow("appchat/create", false, limit{maxRoomsADay, 24 * time.Hour}) {
		return nil, apiError{45009, "api freq out of limit"}
	}
	s.rooms.put(room{Chat: Chat{
		ID: ask.ID, Name: s.roomName(ask.Name, ask.Members), Kind: appGroup, Members: ask.Members,
		Bot: appName(c.app.AgentID), agent: c.app.AgentID, owner: ask.Owner,
	}})
	return map[string]any{"chatid": ask.ID}, nil
}

// roomName returns what a chat is called that may have no name.
func (s *Simulator) roomName(name string, members []string) string {
	if name != "" {
		return name
	}
	var names []string
	for _, id := range members[:min(3, len(members))] {
		names = append(names, s.cfg.person(id).Name)
	}
	return strings.Join(names, "、")
}

func (s *Simulator) checkMembers(ids []string) error {
	for _, id := range ids {
		if s.cfg.person(id).Kind != Member {
			return apiError{86216, "invalid chat member id: " + shorten(id, 64)}
		}
	}
	return nil
}

// ownRoom returns a chat that the app of c has made.
func (s *Simulator) ownRoom(c *call, id string) (room, error) {
	known, ok := s.rooms.get(id)
	switch {
	case !ok:
		return room{}, apiError{86003, "chatid does not exist"}
	case known.agent != c.app.AgentID:
		return room{}, apiError{86008, "chat not created by this app"}
	}
	return known, nil
}

// updateRoom changes name, owner and members of a chat.
//
// Source: https://developer.work.weixin.qq.com/document/path/98913
func (s *Simulator) updateRoom(c *call) (any, error) {
	var ask struct {
		ID     string   `json:"chatid"`
		Name   string   `json:"name"`
		Owner  string   `json:"owner"`
		Add    []string `json:"add_user_list"`
		Remove []string `json:"del_user_list"`
	}
	if err := c.read(&ask); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, err := s.ownRoom(c, ask.ID)
	if err == nil {
		err = s.checkMembers(ask.Add)
	}
	if err != nil {
		return nil, err
	}
	members := slices.DeleteFunc(slices.Concat(changed.Members, ask.Add), func(id string) bool { return slices.Contains(ask.Remove, id) })
	slices.Sort(members)
	changed.Members = slices.Compact(members)
	if ask.Name != "" {
		changed.Name = ask.Name
	}
	if ask.Owner != "" {
		changed.owner = ask.Owner
	}
	switch {
	case utf8.RuneCountInString(ask.Name) > maxRoomName:
		return nil, apiError{86004, "invalid chat name"}
	case len(changed.Members) < minRoomMembers || len(changed.Members) > maxRoomMembers:
		return nil, apiError{86006, "invalid chat member count"}
	case !slices.Contains(changed.Members, changed.owner):
		return nil, apiError{86207, "owner is not in the member list"}
	case !s.allow("appchat/update", false, limit{maxRoomChanges, time.Hour}):
		return nil, apiError{45009, "api freq out of limit"}
	}
	s.rooms.put(changed)
	if changed.shown {
		s.publish("chat", s.chatState(changed.Chat))
	}
	return nil, nil
}

// getRoom tells an app about a chat that it has made.
//
// Source: https://developer.work.weixin.qq.com/document/path/98914
func (s *Simulator) getRoom(c *call) (any, error) {
	known, err := s.ownRoom(c, c.URL.Query().Get("chatid"))
	if err != nil {
		return nil, err
	}
	return map[string]any{"chat_info": map[string]any{
		"chatid": known.ID, "name": known.Name, "owner": known.owner, "userlist": known.Members,
	}}, nil
}

// roomTypes are what an app sends into a chat.
var roomTypes = []string{
	wecom.TypeText, formMarkdown, wecom.TypeImage, wecom.TypeVoice, wecom.TypeVideo, wecom.TypeFile, typeTextCard, typeNews, typeMPNews,
}

// sendToRoom sends into a chat that the app has made.
//
// Source: https://developer.work.weixin.qq.com/document/path/90248
func (s *Simulator) sendToRoom(c *call) (any, error) {
	var m struct {
		content
		ID string `json:"chatid"`
	}
	if err := c.read(&m); err != nil {
		return nil, err
	}
	to, err := s.ownRoom(c, m.ID)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	note := "送到应用群聊"
	l, err := s.lineOf(m.content, channel{types: roomTypes, text: maxAppText, cut: true, markdown: maxAppText})
	switch {
	case err != nil:
	case !s.allow("appchat "+to.ID, false, limit{maxRoomPosts, time.Minute}):
		note = "超过每人每分钟 200 条，平台不送也不报错"
	default:
		if !to.shown {
			to.shown = true
			s.rooms.put(to)
			s.publish("chat", s.chatState(to.Chat))
		}
		l.Chat, l.Who, l.At = to.ID, to.Bot, s.nowLocked()
		s.addLine(l)
	}
	s.mu.Unlock()
	s.showCall(c, to.Chat, "", "应用群聊 · "+kindOf(m.content), note, err)
	return nil, err
}
