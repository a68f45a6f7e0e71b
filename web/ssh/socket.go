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
	// openTime is how long the connection may take to open; the relay itself waits 10 seconds for the machine.
	openTime = 20 * time.Second
	// silentTime is how long nothing may arrive before the connection counts as lost. The relay sends an empty message
	// every 4 seconds.
	silentTime = 10 * time.Second
	// checkTime is how often that is checked.
	checkTime = time.Second
)

// The codes of Code that are not the relay's own: RFC 6455 reserves 1006 for a connection that broke off.
const brokeOff = 1006

// socket is a WebSocket as a net.Conn. What has arrived is kept until it is read; how much that can be is bounded by SSH's own
// windows. Its deadlines do nothing: whoever waits too long closes it.
type socket struct {
	ws    js.Value
	funcs []js.Func

	mu      sync.Mutex
	changed *sync.Cond
	arrived []byte
	ended   bool
	// code and reason are what the relay said when it closed; see Code.
	code   int
	reason string
	// heard is when a message arrived last.
	heard time.Time
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
	s.heard = time.Now()
	settle := func(is bool) {
		select {
		case opened <- is:
		default:
		}
	}
	s.on("open", func(js.Value) { settle(true) })
	s.on("error", func(js.Value) { // what broke tells no reason, and not everywhere that it closed
		s.end(brokeOff, "")
		settle(false)
	})
	s.on("message", func(e js.Value) {
		data := js.Global().Get("Uint8Array").New(e.Get("data"))
		b := make([]byte, data.Length())
		js.CopyBytesToGo(b, data)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.arrived, s.heard = append(s.arrived, b...), time.Now()
		s.changed.Broadcast()
	})
	s.on("close", func(e js.Value) {
		s.end(e.Get("code").Int(), e.Get("reason").String())
		settle(false)
	})
	late := time.AfterFunc(openTime, func() { settle(false) })
	defer late.Stop()
	if !<-opened {
		s.close(brokeOff)
		return nil, errors.New("The terminal could not be opened. Check that the deployment is running and that you are signed in.")
	}
	go s.watch()
	return s, nil
}

// watch ends the socket once nothing has arrived for too long: a network that drops everything tells nobody.
func (s *socket) watch() {
	last := time.Now()
	for tick := time.NewTicker(checkTime); ; {
		now := <-tick.C
		s.mu.Lock()
		if now.Sub(last) > 3*checkTime {
			// The page itself stood still: what has arrived meanwhile is not delivered yet.
			s.heard = now
		}
		last = now
		ended, silent := s.ended, now.Sub(s.heard) > silentTime
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

// construct makes a WebSocket of an address, which may be a path of this site.
func construct(url string) (ws js.Value, err error) {
	defer func() { // JavaScript's exceptions are panics here
		if p := recover(); p != nil {
			err = errors.New("the terminal’s address is not one")
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
	// Browsers tell that a connection broke off twice: as an error, and as its close with the code.
	if !s.ended || s.code == brokeOff && reason != "" {
		s.ended, s.code, s.reason = true, code, reason
	}
	s.changed.Broadcast()
}

// Reason is what the relay said when it closed, or "".
func (s *socket) Reason() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// Code is the WebSocket's close code: the relay's own, 1006 where the connection broke off or fell silent, and 0 where this
// end closed it.
func (s *socket) Code() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.code
}

// Read waits for something to arrive.
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

// Write sends one message. The browser keeps what the network does not take yet.
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

// Close closes the WebSocket. The listeners are let go when it has told so, or never where it does not.
func (s *socket) Close() error {
	s.close(0)
	return nil
}

func (s *socket) close(code int) {
	s.end(code, "")
	s.ws.Call("close")
}

func (s *socket) LocalAddr() net.Addr              { return here{} }
func (s *socket) RemoteAddr() net.Addr             { return here{} }
func (s *socket) SetDeadline(time.Time) error      { return nil }
func (s *socket) SetReadDeadline(time.Time) error  { return nil }
func (s *socket) SetWriteDeadline(time.Time) error { return nil }

// here is the address of both ends: a page knows none.
type here struct{}

func (here) Network() string { return "websocket" }
func (here) String() string  { return "websocket" }
