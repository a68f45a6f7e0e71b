package upstream

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
)

const (
	// mostTold is how many things are logged; what a cloud says must fill neither our memory nor the log.
	mostTold = 1000
	// maxTold is how many bytes tell one thing from another.
	maxTold = 500
)

// Once logs what is the same with every look a single time. The zero value is ready, and it is safe for concurrent use.
type Once struct {
	mu   sync.Mutex
	told map[string]bool
}

// Warn logs at Warn, unless it has logged the same before, or too much else.
func (o *Once) Warn(ctx context.Context, log *slog.Logger, message string, args ...any) {
	what := fmt.Sprintf("%s %q", message, args)
	what = what[:min(len(what), maxTold)]
	o.mu.Lock()
	told := o.told[what] || len(o.told) >= mostTold
	if !told {
		if o.told == nil {
			o.told = map[string]bool{}
		}
		o.told[what] = true
	}
	o.mu.Unlock()
	if !told {
		log.WarnContext(ctx, message, args...)
	}
}
