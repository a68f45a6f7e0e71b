package postgres

import (
	"net"
	"time"
)

const (
	// connectTime is how long one host may take to let us in, where the URL says nothing else.
	connectTime = 5 * time.Second
	// unheard is how long what was sent may go without the other end's acknowledgement: a host that vanished is noticed
	// by then also while an answer is awaited.
	unheard = 15 * time.Second
)

// dialer asks a connection at rest for a sign of life, too.
func dialer() *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control:         unheardAfter,
	}
}
