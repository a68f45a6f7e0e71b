package app

import (
	"context"
	"time"
)

const (
	// shutdownTime is how long requests may continue after the server is stopped.
	shutdownTime = 10 * time.Second
	// backgroundTime is how long running jobs may continue then.
	backgroundTime = 8 * time.Second
	// flushTime is how long writing the last uses of API keys may take then.
	flushTime = 3 * time.Second
	// stopTime is the maximum duration of all that. Service managers kill after half a minute or
	// more.
	stopTime = 25 * time.Second
	// maxDrain is the maximum of Config.Drain.
	maxDrain = 5 * time.Minute
)

// StopTime returns the maximum duration of a stop.
func (c Config) StopTime() time.Duration { return c.Drain + stopTime }

// drain keeps serving for a time while /readyz fails, so that a load balancer sends nothing more.
func (a *App) drain(ctx context.Context, failed <-chan error) error {
	a.draining.Store(true)
	if a.cfg.Drain == 0 {
		return nil
	}
	a.cfg.Log.InfoContext(ctx, "draining: /readyz fails, and requests are still served", "for", a.cfg.Drain)
	end := time.NewTimer(a.cfg.Drain)
	defer end.Stop()
	select {
	case <-end.C:
		return nil
	case err := <-failed:
		return err
	case err := <-a.claimLost:
		return err
	}
}
