package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// sample is what one side of a comparison has done so far.
type sample struct {
	took  []time.Duration
	spent time.Duration
	cpu   time.Duration // of this process, so client and server, but not PostgreSQL
}

func (s *sample) rate() float64 { return float64(len(s.took)) / s.spent.Seconds() }

// cpuEach is what one of them took of a processor.
func (s *sample) cpuEach() time.Duration { return s.cpu / time.Duration(max(len(s.took), 1)) }

// processorTime is what this process has taken.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it cannot fail with these arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// quantile is of all that was measured; q is 0 to 1.
func (s *sample) quantile(q float64) time.Duration {
	if len(s.took) == 0 {
		return 0
	}
	slices.Sort(s.took)
	return s.took[min(int(q*float64(len(s.took))), len(s.took)-1)]
}

// worker does one thing once.
type worker func(ctx context.Context) error

// side is one of the things that are compared: workers that do the same beside each other.
type side struct {
	workers []worker
	sample
	// lost is how many connections were reset or closed under a call, and made anew.
	lost int
}

// errLost means that the call got no answer since its connection was lost; the worker has another one.
var errLost = errors.New("the connection was lost")

// turn has all workers work for so long, and counts.
func (s *side) turn(ctx context.Context, length time.Duration, count bool) error {
	took, lost := make([][]time.Duration, len(s.workers)), make([]int, len(s.workers))
	errs := make([]error, len(s.workers))
	start, cpu := time.Now(), processorTime()
	var wg sync.WaitGroup
	for i, work := range s.workers {
		wg.Go(func() {
			for at := time.Now(); at.Sub(start) < length; {
				err := work(ctx)
				now := time.Now()
				if errors.Is(err, errLost) { // a busy machine resets some: they are counted, and the run goes on
					lost[i]++
					at = now
					continue
				}
				if err != nil {
					errs[i] = err
					return
				}
				took[i] = append(took[i], now.Sub(at))
				at = now
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	for _, n := range lost {
		s.lost += n
	}
	if count {
		s.spent += time.Since(start)
		s.cpu += processorTime() - cpu
		for _, t := range took {
			s.took = append(s.took, t...)
		}
	}
	return nil
}

// compare has the sides work in turns, after one that does not count.
func compare(ctx context.Context, turns int, length time.Duration, sides ...*side) error {
	for i := range turns + 1 {
		for _, s := range sides {
			if err := s.turn(ctx, length, i > 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// caller is a client that costs little: it writes requests that are ready, and reads of an answer its status and length. A
// dearer one would take its time from the server, on the same machine, and hide what the server costs.
type caller struct {
	address string
	conn    net.Conn
	in      *bufio.Reader
}

func dial(address string) (*caller, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &caller{address: address, conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}, nil
}

// again makes the connection anew after what was said on it failed for that.
func (c *caller) again(failed error) error {
	var network net.Error
	if !errors.Is(failed, io.EOF) && !errors.Is(failed, io.ErrUnexpectedEOF) && !errors.As(failed, &network) {
		return failed
	}
	_ = c.conn.Close()
	fresh, err := dial(c.address)
	if err != nil {
		return errors.Join(failed, err)
	}
	c.conn, c.in = fresh.conn, fresh.in
	return fmt.Errorf("%w: %w", errLost, failed)
}

var (
	lengthHeader = []byte("Content-Length: ")
	emptyLine    = []byte("\r\n")
)

// call sends a request and returns the answer's body where keep is set, else only reads past it. Where the connection is lost it fails with
// errLost and has made another.
func (c *caller) call(request []byte, status string, keep bool) ([]byte, error) {
	body, err := c.ask(request, status, keep)
	if err != nil {
		return nil, c.again(err)
	}
	return body, nil
}

// ask sends a request and returns the answer's body where keep is set, else only reads past it.
func (c *caller) ask(request []byte, status string, keep bool) ([]byte, error) {
	if _, err := c.conn.Write(request); err != nil {
		return nil, err
	}
	head, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	wrong := ""
	if len(head) < 12 || string(head[9:12]) != status {
		wrong = string(head)
	}
	length := -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if bytes.Equal(line, emptyLine) {
			break
		}
		if value, is := bytes.CutPrefix(line, lengthHeader); is {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return nil, err
			}
		}
	}
	if length < 0 {
		return nil, fmt.Errorf("an answer without a length")
	}
	if wrong != "" || keep {
		body := make([]byte, length)
		if _, err = io.ReadFull(c.in, body); wrong != "" {
			return nil, fmt.Errorf("%s instead of %s: %s", wrong, status, body)
		}
		return body, err
	}
	_, err = c.in.Discard(length)
	return nil, err
}

// request writes a request out.
func request(method, target, secret, body string, headers ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\nUser-Agent: bench\r\n", method, target)
	if secret != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", secret)
	}
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	return b.Bytes()
}

// callers are n connections that each send what next gives for their n-th request; the answers must have that status.
func callers(n int, address, status string, next func(n int) []byte) (s *side, hangUp func(), err error) {
	s = &side{}
	var open []*caller
	hangUp = func() {
		for _, c := range open {
			_ = c.conn.Close()
		}
	}
	for i := range n {
		c, err := dial(address)
		if err != nil {
			hangUp()
			return nil, nil, err
		}
		open = append(open, c)
		at := i
		s.workers = append(s.workers, func(context.Context) error {
			_, err := c.call(next(at), status, false)
			at += n
			return err
		})
	}
	return s, hangUp, nil
}
