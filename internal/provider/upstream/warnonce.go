package upstream

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
)

const (
	// maxWarnings bounds how many different warnings are logged: what a cloud sends must fill
	// neither our memory nor the log.
	maxWarnings = 1000
	// maxWarningBytes is how many bytes tell one warning from another.
	maxWarningBytes = 500
)

// WarnOnce logs each warning a single time, however often it is repeated. The zero value is ready,
// and it is safe for concurrent use.
type WarnOnce struct {
	mu     sync.Mutex
	logged map[string]bool
}

// Warn logs at Warn, unless it has logged the same before, or too much else.
func (o *WarnOnce) Warn(ctx context.Context, log *slog.Logger, message string, args ...any) {
	what := fmt.Sprintf("%s %q", message, args)
	what = what[:min(len(what), maxWarningBytes)]
	o.mu.Lock()
	known := o.logged[what] || len(o.logged) >= maxWarnings
	if !known {
		if o.logged == nil {
			o.logged = map[string]bool{}
		}
		o.logged[what] = true
	}
	o.mu.Unlock()
	if !known {
		log.WarnContext(ctx, message, args...)
	}
}

// UnknownStatus warns once that the cloud shows a status that the adapter does not know.
func (o *WarnOnce) UnknownStatus(ctx context.Context, a Account, kind, status string) {
	o.Warn(ctx, a.Log, "a cloud shows an unknown status; the last known state is kept",
		"provider", a.Slug, "kind", kind, "status", fmt.Sprintf("%.80q", status))
}
