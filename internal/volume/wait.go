package volume

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/id"
)

// waitPoll is how often a waiting call checks for changes by other replicas.
const waitPoll = time.Second

// Wait returns the volume once it has the status or a final one, or as it is when the timeout is
// over or the server stops.
func (s *Service) Wait(
	ctx context.Context, account, volume id.ID, want Status, timeout time.Duration,
) (Volume, error) {
	until, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	changed, stop := s.cfg.Events.Watch(volume)
	defer stop()
	for {
		v, err := s.Get(ctx, s.cfg.DB, account, volume)
		final := v.Status == StatusDeleted || v.Status == StatusFailed
		if err != nil || v.Status == want || final || until.Err() != nil {
			return v, err
		}
		// A token comes with each change in this process. Those of other replicas are polled for.
		poll, done := context.WithTimeout(until, waitPoll)
		open := true
		select {
		case _, open = <-changed:
		case <-poll.Done():
		}
		done()
		if !open { // the server stops
			return v, nil
		}
	}
}
