//go:build js && wasm

package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall/js"
	"time"
)

const (
	// openTimeout limits opening the connection; the relay itself waits 10 seconds for the machine.
	openTimeout = 20 * time.Second
	// idleTimeout is the time without a message after which the connection counts as lost. The
	// relay sends an empty message every 4 seconds.
	idleTimeout = 10 * time.Second
	// checkInterval is how often that is checked.
	checkInterval = time.Second
)

// RFC 6455 reserves this close code for a connection that broke off.
const brokeOff = 1006

// socket is a WebSocket as a net.Conn. It buffers what has arrived; SSH's windows bound how much
// that can be. Deadlines have no effect: a caller that waits too long closes the socket.
type socket struct {
	ws    js.Value
	funcs []js.Func

	mu      sync.Mutex
	changed *sync.Cond
	arrived []byte
	ended   bool
	// code and reason are the relay's when it closed; see Code.
	code   int
	reason string
	// lastMessage is when a message last arrived.
	lastMessage time.Time
}

// dial opens a WebSocket and waits until it is open.
func dial(url string) (*socket, error) {
	s := &socket{}
	s.changed = sync.NewCond(&s.mu)
	ws, err := construct(url)
	if err != nil {
		return nil, err
	}
	s.ws = ws
	s.ws.Set("binaryType", "arraybuffer")
	opened := make(chan bool, 1)
	s.lastMessage = time.Now()
	settle := func(ok bool) {
		select {
		case opened <- ok:
		default:
		}
	}
	s.on("open", func(js.Value) { settle(true) })
	s.on("error", func(js.Value) { // an error has no reason, and not every browser sends a close after it
		s.end(brokeOff, "")
		settle(false)
	})
	s.on("message", func(e js.Value) {
		data := js.Global().Get("Uint8Array").New(e.Get("data"))
		b := make([]byte, data.Length())
		js.CopyBytesToGo(b, data)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.arrived, s.lastMessage = append(s.arrived, b...), time.Now()
		s.changed.Broadcast()
	})
	s.on("close", func(e js.Value) {
		s.end(e.Get("code").Int(), e.Get("reason").String())
		settle(false)
	})
	timeout := time.AfterFunc(openTimeout, func() { settle(false) })
	defer timeout.Stop()
	if !<-opened {
		s.close(brokeOff)
		return nil, errors.New("The terminal could not be opened. " +
			"Check that the deployment is running and that you are signed in.")
	}
	go s.watch()
	return s, nil
}

// watch closes the socket when nothing has arrived for too long: a network that drops everything
// reports nothing.
func (s *socket) watch() {
	last := time.Now()
	for tick := time.NewTicker(checkInterval); ; {
		now := <-tick.C
		s.mu.Lock()
		if now.Sub(last) > 3*checkInterval {
			// The page itself was suspended; what has arrived meanwhile is not delivered yet.
			s.lastMessage = now
		}
		last = now
		ended, silent := s.ended, now.Sub(s.lastMessage) > idleTimeout
		s.mu.Unlock()
		if silent && !ended {
			s.close(brokeOff)
		}
		if silent || ended {
			tick.Stop()
			return
		}
	}
}

// construct creates a WebSocket for a URL or a path of this site.
func construct(url string) (ws js.Value, err error) {
	defer func() { // JavaScript's exceptions are panics here
		if p := recover(); p != nil {
			err = errors.New("the terminal’s URL is invalid")
		}
	}()
	u := js.Global().Get("URL")
	var at js.Value
	if location := js.Global().Get("location"); location.Truthy() {
		at = u.New(url, location.Get("href"))
	} else {
		at = u.New(url)
	}
	switch at.Get("protocol").String() {
	case "http:":
		at.Set("protocol", "ws:")
	case "https:":
		at.Set("protocol", "wss:")
	}
	return js.Global().Get("WebSocket").New(at.Get("href")), nil
}

func (s *socket) on(event string, f func(e js.Value)) {
	handler := js.FuncOf(func(_ js.Value, args []js.Value) any {
		f(args[0])
		return nil
	})
	s.funcs = append(s.funcs, handler)
	s.ws.Call("addEventListener", event, handler)
}

func (s *socket) end(code int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Browsers report a broken connection twice: as an error, and as a close with the code.
	if !s.ended || s.code == brokeOff && reason != "" {
		s.ended, s.code, s.reason = true, code, reason
	}
	s.changed.Broadcast()
}

// Reason returns the relay's reason for closing, or "".
func (s *socket) Reason() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// Code returns the WebSocket's close code: the relay's own, 1006 where the connection broke off or
// timed out, and 0 where this end closed it.
func (s *socket) Code() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.code
}

// Read blocks until a message arrives.
func (s *socket) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.arrived) == 0 {
		if s.ended {
			return 0, io.EOF
		}
		s.changed.Wait()
	}
	n := copy(p, s.arrived)
	if s.arrived = s.arrived[n:]; len(s.arrived) == 0 {
		s.arrived = nil
	}
	return n, nil
}

// Write sends one message. The browser buffers what the network does not take yet.
func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	ended := s.ended
	s.mu.Unlock()
	if ended {
		return 0, net.ErrClosed
	}
	b := js.Global().Get("Uint8Array").New(len(p))
	js.CopyBytesToJS(b, p)
	s.ws.Call("send", b)
	return len(p), nil
}

// Close closes the WebSocket.
func (s *socket) Close() error {
	s.close(0)
	return nil
}

func (s *socket) close(code int) {
	s.end(code, "")
	s.ws.Call("close")
}

func (s *socket) LocalAddr() net.Addr              { return address{} }
func (s *socket) RemoteAddr() net.Addr             { return address{} }
func (s *socket) SetDeadline(time.Time) error      { return nil }
func (s *socket) SetReadDeadline(time.Time) error  { return nil }
func (s *socket) SetWriteDeadline(time.Time) error { return nil }

// address is the address of both ends: a page knows none.
type address struct{}

func (address) Network() string { return "websocket" }
func (address) String() string  { return "websocket" }
