package postgres

import (
	"net"
	"time"
)

const (
	// connectTime limits connecting to one host, unless the URL sets a limit.
	connectTime = 5 * time.Second
	// unheard is how long sent data may stay unacknowledged: a host that vanished is detected by
	// then, also during an answer.
	unheard = 15 * time.Second
)

// dialer also probes idle connections.
func dialer() *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control:         unheardAfter,
	}
}
