package fuzz_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// patience limits the time of an answer.
const patience = time.Minute

// wire is a connection to the server on which any bytes can be sent.
type wire struct {
	address string
	c       net.Conn
	r       *bufio.Reader
}

func (w *wire) close() {
	if w.c != nil {
		_ = w.c.Close()
		w.c = nil
	}
}

// reply is a complete answer.
type reply struct {
	*http.Response
	body []byte
}

// ask sends a request and reads its answer. Connections are reused as long as the server keeps
// them.
func (w *wire) ask(request []byte, method string) (reply, error) {
	if w.c == nil {
		c, err := net.Dial("tcp", w.address)
		if err != nil {
			return reply{}, err
		}
		w.c, w.r = c, bufio.NewReader(c)
	}
	if err := w.c.SetDeadline(time.Now().Add(patience)); err != nil {
		return reply{}, err
	}
	c, written := w.c, make(chan error, 1)
	go func() { // a server may answer before it has read everything, and not read the rest
		_, err := c.Write(request)
		written <- err
	}()
	a, err := w.read(method)
	if err != nil || a.Close {
		w.close()
		<-written
		return a, err
	}
	return a, <-written
}

func (w *wire) read(method string) (reply, error) {
	for {
		resp, err := http.ReadResponse(w.r, &http.Request{Method: method})
		if err != nil {
			return reply{}, fmt.Errorf("no answer: %w", err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return reply{}, fmt.Errorf("half an answer: %w", err)
		}
		if resp.StatusCode == http.StatusContinue {
			continue
		}
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return reply{Response: resp, body: body}, nil
	}
}
