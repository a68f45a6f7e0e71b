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

// sample is the measurement of one side of a comparison.
type sample struct {
	took  []time.Duration
	spent time.Duration
	cpu   time.Duration // of this process: client and server, but not PostgreSQL
}

func (s *sample) rate() float64 { return float64(len(s.took)) / s.spent.Seconds() }

// cpuEach returns the processor time per call.
func (s *sample) cpuEach() time.Duration { return s.cpu / time.Duration(max(len(s.took), 1)) }

// processorTime returns the processor time of this process.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it cannot fail with these arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// quantile returns a quantile of all durations; q is 0 to 1.
func (s *sample) quantile(q float64) time.Duration {
	if len(s.took) == 0 {
		return 0
	}
	slices.Sort(s.took)
	return s.took[min(int(q*float64(len(s.took))), len(s.took)-1)]
}

// worker makes one call.
type worker func(ctx context.Context) error

// side is one side of a comparison: workers that make the same call concurrently.
type side struct {
	workers []worker
	sample
	// lost is how many connections were reset or closed during a call, and opened again.
	lost int
}

// errLost means that a call's connection was lost; the worker has another one.
var errLost = errors.New("the connection was lost")

// turn makes all workers work for that long, with at least one call each, and counts.
func (s *side) turn(ctx context.Context, length time.Duration, count bool) error {
	took, lost := make([][]time.Duration, len(s.workers)), make([]int, len(s.workers))
	errs := make([]error, len(s.workers))
	start, cpu := time.Now(), processorTime()
	var wg sync.WaitGroup
	for i, work := range s.workers {
		wg.Go(func() {
			// On a busy machine a short turn can be over before its first call.
			for at, more := time.Now(), true; more; more = at.Sub(start) < length {
				err := work(ctx)
				now := time.Now()
				switch {
				case errors.Is(err, errLost): // a busy machine resets some: they are counted, and the run continues
					lost[i]++
				case err != nil:
					errs[i] = err
					return
				default:
					took[i] = append(took[i], now.Sub(at))
				}
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

// compare makes the sides work in turns, after one that does not count.
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

// caller is a cheap client: it sends prepared requests, and reads only the status and length of an
// answer. A more expensive one would take time from the server on the same machine, and hide the
// server's cost.
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

// again opens the connection again after an error on it.
func (c *caller) again(failed error) error {
	if _, is := errors.AsType[net.Error](failed); !errors.Is(failed, io.EOF) &&
		!errors.Is(failed, io.ErrUnexpectedEOF) && !is {
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

// call sends a request and returns the answer's body if keep is set, and otherwise skips it. If
// the connection is lost, it opens another and returns errLost.
func (c *caller) call(request []byte, status string, keep bool) ([]byte, error) {
	body, err := c.ask(request, status, keep)
	if err != nil {
		return nil, c.again(err)
	}
	return body, nil
}

// ask sends a request and returns the answer's body if keep is set, and otherwise skips it.
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

// request encodes a request.
func request(method, target, secret, body string, headers ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(
		&b, "%s %s HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\nUser-Agent: bench\r\n", method,
		target,
	)
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

// callers opens n connections. Each sends what next returns for its n-th request; the answers must
// have that status.
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
