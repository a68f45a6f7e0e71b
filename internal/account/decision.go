package account

import "sync"

// decisions wakes who waits for a login to be allowed or denied. Both are rare, so all are woken, and look.
type decisions struct {
	mu      sync.Mutex
	waiting chan struct{}
}

// next returns a channel that tell closes.
func (d *decisions) next() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == nil {
		d.waiting = make(chan struct{})
	}
	return d.waiting
}

func (d *decisions) tell() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting != nil {
		close(d.waiting)
		d.waiting = nil
	}
}
