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

// socket is a WebSocket as a net.Conn. What has arrived is kept until it is read; how much that can be is bounded by SSH's own
// windows. Its deadlines do nothing: whoever waits too long closes it.
type socket struct {
	ws    js.Value
	funcs []js.Func

	mu      sync.Mutex
	changed *sync.Cond
	arrived []byte
	ended   bool
	// reason is what the relay said when it closed.
	reason string
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
	settle := func(is bool) {
		select {
		case opened <- is:
		default:
		}
	}
	s.on("open", func(js.Value) { settle(true) })
	s.on("error", func(js.Value) { // what broke tells no reason, and not everywhere that it closed
		s.end("")
		settle(false)
	})
	s.on("message", func(e js.Value) {
		data := js.Global().Get("Uint8Array").New(e.Get("data"))
		b := make([]byte, data.Length())
		js.CopyBytesToGo(b, data)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.arrived = append(s.arrived, b...)
		s.changed.Broadcast()
	})
	s.on("close", func(e js.Value) {
		s.end(e.Get("reason").String())
		settle(false)
	})
	if !<-opened {
		return nil, errors.New("the terminal could not be opened; does the deployment run, and are you signed in")
	}
	return s, nil
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

func (s *socket) end(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended, s.reason = true, reason
	}
	s.changed.Broadcast()
}

// Reason is what the relay said when it closed, or "".
func (s *socket) Reason() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
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
	s.end("")
	s.ws.Call("close")
	return nil
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
