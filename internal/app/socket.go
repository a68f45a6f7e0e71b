package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/provider/sim"
)

// socketFile is the operator's socket of a running server with the simulator.
const socketFile = "billetd.sock"

// MaxAdvance limits one step of time travel: more than a year is a mistake.
const MaxAdvance = 366 * 24 * time.Hour

// SimStatus is what the simulated provider has, at the server's time.
type SimStatus struct {
	Now      time.Time           `json:"now"`
	Machines []sim.MachineStatus `json:"machines"`
}

// SimFaults are the injected faults, at the server's time.
type SimFaults struct {
	Now    time.Time   `json:"now"`
	Faults []sim.Fault `json:"faults"`
}

// maxFault limits the size of a fault that is sent.
const maxFault = 64 << 10

// socketPath returns a path of the socket that is short enough: the system allows about a hundred
// bytes, and data directories can be deep. Call release once the path has been used.
func socketPath(dir string) (path string, release func(), err error) {
	path = filepath.Join(dir, socketFile)
	if len(path) < 100 {
		return path, func() {}, nil
	}
	if runtime.GOOS != "linux" {
		return "", nil, fmt.Errorf(
			"the path of the data directory is too long for the socket %s; choose a shorter --data-dir", path)
	}
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return "/proc/self/fd/" + strconv.Itoa(int(d.Fd())) + "/" + socketFile, func() { _ = d.Close() }, nil
}

// listenSocket creates the socket with mode 0600, and replaces one that a killed server left. The
// simulator has locked the data directory, so no other server uses it.
func listenSocket(dir string) (net.Listener, error) {
	path, release, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	old := umask(0o177) // the socket has its mode from the start
	l, err := net.Listen("unix", path)
	umask(old)
	if err != nil {
		return nil, fmt.Errorf("listen on the operator's socket: %w", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // the path may be a link; Run removes the file
	return l, nil
}

// socketHandler serves the commands of `billetd sim`.
func socketHandler(s *simulator) http.Handler {
	mux, c, world := http.NewServeMux(), s.clock, s.world
	status := func() SimStatus { return SimStatus{Now: c.Now(), Machines: world.Machines()} }
	mux.HandleFunc("GET /sim/status", func(w http.ResponseWriter, r *http.Request) { answer(w, status(), nil) })
	mux.HandleFunc("POST /sim/advance", func(w http.ResponseWriter, r *http.Request) {
		d, err := time.ParseDuration(r.URL.Query().Get("by"))
		if err == nil {
			err = s.advance(r.Context(), d)
		}
		answer(w, status(), err)
	})
	faults := func() SimFaults { return SimFaults{Now: c.Now(), Faults: world.Faults()} }
	mux.HandleFunc("GET /sim/faults", func(w http.ResponseWriter, r *http.Request) { answer(w, faults(), nil) })
	mux.HandleFunc("POST /sim/faults", func(w http.ResponseWriter, r *http.Request) {
		var f sim.Fault
		decoder := json.NewDecoder(io.LimitReader(r.Body, maxFault))
		decoder.DisallowUnknownFields()
		err := decoder.Decode(&f)
		if err == nil {
			f, err = world.AddFault(r.Context(), f)
		}
		answer(w, f, err)
	})
	mux.HandleFunc("DELETE /sim/faults", func(w http.ResponseWriter, r *http.Request) {
		err := world.ClearFaults(r.Context(), r.URL.Query()["id"]...)
		answer(w, faults(), err)
	})
	return mux
}

func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		v = map[string]string{"error": err.Error()}
	}
	_ = json.NewEncoder(w).Encode(v)
}

// SimAdvance moves the clock of the server that runs on the data directory, and waits for it.
func SimAdvance(ctx context.Context, dir string, by time.Duration) (SimStatus, error) {
	return ask[SimStatus](ctx, dir, http.MethodPost, "/sim/advance?by="+by.String(), nil)
}

// AskSimStatus returns the simulated provider's status of the server that runs on the data
// directory.
func AskSimStatus(ctx context.Context, dir string) (SimStatus, error) {
	return ask[SimStatus](ctx, dir, http.MethodGet, "/sim/status", nil)
}

// SimAddFault injects a fault into the server that runs on the data directory, and returns the
// stored fault.
func SimAddFault(ctx context.Context, dir string, f sim.Fault) (sim.Fault, error) {
	return ask[sim.Fault](ctx, dir, http.MethodPost, "/sim/faults", f)
}

// AskSimFaults returns the faults of the server that runs on the data directory.
func AskSimFaults(ctx context.Context, dir string) (SimFaults, error) {
	return ask[SimFaults](ctx, dir, http.MethodGet, "/sim/faults", nil)
}

// SimClearFaults clears the faults with those IDs, or all of them without any, and returns the
// others.
func SimClearFaults(ctx context.Context, dir string, ids ...string) (SimFaults, error) {
	return ask[SimFaults](ctx, dir, http.MethodDelete, "/sim/faults?"+url.Values{"id": ids}.Encode(), nil)
}

// ask sends body as JSON unless it is nil, and reads an answer of type T.
func ask[T any](ctx context.Context, dir, method, target string, send any) (s T, err error) {
	var body bytes.Buffer
	if send != nil {
		if err := json.NewEncoder(&body).Encode(send); err != nil {
			return s, err
		}
	}
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			path, release, err := socketPath(dir)
			if err != nil {
				return nil, err
			}
			defer release()
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, method, "http://billetd"+target, &body)
	if err != nil {
		return s, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return s, fmt.Errorf(
			"no server with --sim answers in %s; start one with `billetd serve --sim --data-dir %s` (%w)", dir, dir,
			errors.Unwrap(err))
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return s, err
	}
	if resp.StatusCode != http.StatusOK {
		var e struct{ Error string }
		if json.Unmarshal(bytes.TrimSpace(b), &e) != nil || e.Error == "" {
			e.Error = strings.TrimSpace(string(b))
		}
		return s, errors.New(e.Error)
	}
	err = json.Unmarshal(b, &s)
	return s, err
}
