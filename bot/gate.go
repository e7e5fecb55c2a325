package bot

import (
	"sync"
	"time"
)

const (
	// quickly is how long a message should wait for its commit at most. While
	// more come than can be committed, all that are accepted wait about so
	// long, and the average answer must stay below 200 ms.
	quickly = 120 * time.Millisecond
	// stalled is how long a batch takes when something is wrong with the
	// storage. Nobody knows then whether what comes now would be answered.
	stalled = time.Second
	// fewest may always wait: were it none, the committer would do its work in
	// small portions, and the more slowly for it.
	fewest = 32
)

// A gate decides which messages may wait, so that what cannot be answered
// quickly is refused at once. How many may wait follows from how long those
// waited that have been committed.
type gate struct {
	mu    sync.Mutex
	most  int       // messages that may wait: fewest to queueLength
	began time.Time // of the batch at hand; zero: there is none
}

// open reports whether a message may wait behind waiting others.
func (g *gate) open(waiting int, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return waiting < g.most && (g.began.IsZero() || now.Sub(g.began) < stalled)
}

// begin notes that the committer takes a batch.
func (g *gate) begin(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.began = now
}

// end notes that the batch is done, and that its last message found ahead
// others when it came and waited so long.
func (g *gate) end(ahead int, waited time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.began = time.Time{}
	if waited <= quickly {
		g.most = min(queueLength, g.most+maxBatch/8)
		return
	}
	if ahead < fewest {
		return // it was not those ahead that took long
	}
	quick := int(float64(ahead) * float64(quickly) / float64(waited)) // so many of those ahead take that long
	g.most = min(g.most, max(fewest, quick))
}
