package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/db"
)

// options are the sizes of a run.
type options struct {
	engines     string
	only        string
	connections int
	turns       int
	turn        time.Duration
	offers      int
	deployments int
	entries     int
	running     int
	profile     string
	growth      []int
	hours       int
	quick       bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, parse(), os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse() options {
	var o options
	flag.StringVar(&o.engines, "engines", "sqlite,postgres", "what to measure on")
	flag.StringVar(&o.only, "only", "offers,deployments,wallet,deploy,sweep,verify,growth,size", "what to measure")
	flag.IntVar(&o.connections, "connections", 8, "connections beside each other")
	flag.IntVar(&o.turns, "turns", 20, "turns of each side")
	flag.DurationVar(&o.turn, "turn", 200*time.Millisecond, "length of a turn")
	flag.IntVar(&o.offers, "offers", 10_000, "offers in the catalog, beside the simulator's")
	flag.IntVar(&o.deployments, "deployments", 1000, "deployments of the account whose list is asked for")
	flag.IntVar(&o.entries, "entries", 10_000_000, "entries behind the wallet that is asked for")
	flag.IntVar(&o.running, "running", 100_000, "running deployments that the sweep charges")
	growth := flag.String(
		"growth", "1000,1000000",
		"how many deployments, lines, events and charges others, and one large account, have while lists are asked for",
	)
	flag.IntVar(&o.hours, "hours", 168, "hours that a thousand machines run while the sizes of tables are measured")
	flag.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of all that is measured to this file")
	flag.BoolVar(
		&o.quick, "quick", false,
		"a hundredth of the entries, a tenth of the sweep, and a third of the turns: for rough figures",
	)
	flag.Parse()
	for text := range strings.SplitSeq(*growth, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 10 {
			fmt.Fprintln(os.Stderr, "bench: -growth needs numbers from 10 on, apart by commas")
			os.Exit(2)
		}
		o.growth = append(o.growth, n)
	}
	if o.quick {
		o.turns, o.entries, o.running = o.turns/3+1, o.entries/100, o.running/10
		o.hours = min(o.hours, 24)
		o.growth = []int{1000, 100_000}
	}
	o.running = o.running / 2000 * 2000 // whole transactions of whole statements, also in a quarter
	return o
}

func (o options) wants(what string) bool { return slices.Contains(strings.Split(o.only, ","), what) }

func run(ctx context.Context, o options, out io.Writer) (err error) {
	app.SetMemory() // as the server does, for both sides
	dir, err := os.MkdirTemp("", "billet-bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	t := &table{}
	load, _ := os.ReadFile("/proc/loadavg")
	t.note(
		"%s, %d cores, %s/%s, load before %s; client, server and PostgreSQL share them. %d connections, %d turns of "+
			"%s for each side.",
		runtime.Version(),
		runtime.NumCPU(),
		runtime.GOOS,
		runtime.GOARCH,
		strings.TrimSpace(string(load)),
		o.connections,
		o.turns,
		o.turn,
	)
	for name := range strings.SplitSeq(o.engines, ",") {
		if err = measure(ctx, db.Engine(name), dir, o, t); err != nil {
			err = fmt.Errorf("%s: %w", name, err)
			break
		}
	}
	t.print(out) // also what was measured before an error
	return err
}

func measure(ctx context.Context, engine db.Engine, dir string, o options, t *table) (err error) {
	s, err := newSite(engine, dir, os.Getenv("BILLET_TEST_POSTGRES"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.remove(context.WithoutCancel(ctx))) }()
	if o.wants("offers") || o.wants("deployments") || o.wants("wallet") || o.wants("deploy") {
		if err := calls(ctx, s, o, t); err != nil {
			return err
		}
	}
	if o.wants("sweep") {
		if err := sweeps(ctx, s, o, t); err != nil {
			return err
		}
	}
	if o.wants("verify") {
		if err := ledgers(ctx, s, o, t); err != nil {
			return err
		}
	}
	if o.wants("growth") {
		if err := grown(ctx, s, o, t); err != nil {
			return err
		}
	}
	if o.wants("size") {
		return sized(ctx, s, o, t)
	}
	return nil
}
