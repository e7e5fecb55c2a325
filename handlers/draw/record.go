package draw

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"qunbot/drawproof"
	"qunbot/store"
)

// record returns all that is published of a draw so far. The entrants are
// published at closing.
func (f *feature) record(ctx context.Context, tx *store.Tx, d store.Draw) (drawproof.Record, error) {
	rules, err := rulesOf(d)
	if err != nil {
		return drawproof.Record{}, err
	}
	r := drawproof.Record{
		Protocol: drawproof.Protocol, ID: d.PublicID, State: drawproof.State(d.State), Rules: rules, Commitment: d.Commitment,
		Entries: []drawproof.Entry{}, Count: d.Entries, Chain: d.Chain, PublicValue: d.PublicValue,
		Winners: []drawproof.Winner{}, Alternates: []int{}, Reason: d.Reason,
	}
	if d.State != store.DrawOpen {
		r.Entries = make([]drawproof.Entry, 0, d.Entries)
		err := tx.DrawProofs(ctx, d.ID, func(pseudonym, code string) {
			r.Entries = append(r.Entries, drawproof.Entry{Pseudonym: pseudonym, Code: code})
		})
		if err != nil {
			return r, err
		}
	}
	if d.State == store.DrawDrawn || d.State == store.DrawCancelled {
		r.Seed = d.Seed
	}
	if d.State == store.DrawDrawn {
		wins, err := tx.DrawWins(ctx, d.ID)
		if err != nil {
			return r, err
		}
		prizes := rules.Winners()
		for _, w := range wins {
			if w.Place <= prizes {
				r.Winners = append(r.Winners, drawproof.Winner{Prize: w.Prize, Entry: w.Entry})
			} else {
				r.Alternates = append(r.Alternates, w.Entry)
			}
		}
	}
	return r, nil
}

// recordJSON returns the record of a draw as people download it.
func (f *feature) recordJSON(ctx context.Context, tx *store.Tx, d store.Draw) ([]byte, error) {
	over := d.State == store.DrawDrawn || d.State == store.DrawCancelled
	if body := f.records.get(d.PublicID); over && body != nil {
		return body, nil
	}
	r, err := f.record(ctx, tx, d)
	if err != nil {
		return nil, err
	}
	body, err := encodeRecord(r)
	if err == nil && over {
		f.records.put(d.PublicID, body)
	}
	return body, err
}

// encodeRecord writes a record, one entrant a line, so that people can read it.
func encodeRecord(r drawproof.Record) ([]byte, error) {
	entries := r.Entries
	r.Entries = nil
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(r); err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	before, after, _ := bytes.Cut(b.Bytes(), []byte("\n \"entries\": null"))
	var whole bytes.Buffer
	whole.Grow(b.Len() + 80*len(entries))
	whole.Write(before)
	whole.WriteString("\n \"entries\": [")
	for i, entry := range entries {
		if i > 0 {
			whole.WriteByte(',')
		}
		fmt.Fprintf(&whole, "\n  {\"pseudonym\":%q,\"code\":%q}", entry.Pseudonym, entry.Code)
	}
	whole.WriteString("]")
	whole.Write(after)
	return whole.Bytes(), nil
}

// A recordCache keeps the records of a few draws that are over, which never
// change: after an announcement many people look at the same one.
type recordCache struct {
	mu    sync.Mutex
	byID  map[string][]byte
	order []string
}

const cachedRecords = 8

func (c *recordCache) get(id string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byID[id]
}

func (c *recordCache) put(id string, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil {
		c.byID = map[string][]byte{}
	}
	if c.byID[id] == nil {
		c.order = append(c.order, id)
	}
	c.byID[id] = body
	if len(c.order) > cachedRecords {
		delete(c.byID, c.order[0])
		c.order = c.order[1:]
	}
}
