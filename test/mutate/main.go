package main

import (
	"bufio"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Packages that move money or machines.
const defaultPackages = "wallet meter spendlimit pastdue job deployment volume quote idempotency catalog issue " +
	"webhook event money provider/upstream provideraccount"

type options struct {
	root, equivalent string
	only             *regexp.Regexp
	packages         []string
	seed             uint64
	n, workers       int
	minimum          float64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	packages := flag.String("packages", defaultPackages, "packages below internal/, separated by spaces")
	flag.Uint64Var(&o.seed, "seed", 1, "draws the mutations")
	flag.IntVar(&o.n, "n", 500, "number of mutations that compile")
	flag.IntVar(&o.workers, "workers", max(1, runtime.NumCPU()/2), "mutations tried at a time")
	flag.Float64Var(&o.minimum, "min", 0.95, "fail if a smaller share of mutations that are not equivalent is killed")
	flag.Func("only", `only mutations whose place matches, such as "wallet.go:71 swap|hold.go"`,
		func(text string) (err error) { o.only, err = regexp.Compile(text); return err })
	flag.Parse()
	o.root, o.equivalent = ".", "test/mutate/equivalent.txt"
	for p := range strings.FieldsSeq(*packages) {
		o.packages = append(o.packages, "internal/"+p)
	}
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

// draw returns the mutations in the order in which they are tried.
func draw(all []mutation, seed uint64) []mutation {
	out := slices.Clone(all)
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// result is what became of one mutation.
type result struct {
	mutation
	outcome outcome
}

func run(ctx context.Context, o options, w io.Writer) error {
	known, err := readEquivalent(o.equivalent)
	if err != nil {
		return err
	}
	var all []mutation
	for _, pkg := range o.packages {
		found, err := mutationsOfPackage(o.root, pkg)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("%s has no code", pkg)
		}
		for _, m := range found {
			if o.only == nil || o.only.MatchString(fmt.Sprintf("%s:%d %s", m.file, m.line, m.operator)) {
				all = append(all, m)
			}
		}
	}
	dir, err := os.MkdirTemp("", "billet-mutate-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r := runner{root: o.root, dir: dir, env: sqliteOnly(os.Environ())}
	drawn := draw(all, o.seed)
	fmt.Fprintf(
		w,
		"seed %d: %d of %d mutations in %d packages\n",
		o.seed,
		min(o.n, len(all)),
		len(all),
		len(o.packages),
	)
	limits, err := r.baselines(ctx, w, drawn[:min(o.n, len(drawn))])
	if err != nil {
		return err
	}
	results, err := r.tryAll(ctx, w, o, drawn, limits)
	if err != nil {
		return err
	}
	return report(w, results, known, o.minimum)
}

// baselines runs the tests of each package that has a mutation, and returns their time limits.
func (r runner) baselines(ctx context.Context, w io.Writer, drawn []mutation) (map[string]time.Duration, error) {
	limits := map[string]time.Duration{}
	for _, m := range drawn {
		if _, done := limits[m.pkg]; done {
			continue
		}
		took, err := r.baseline(ctx, m.pkg)
		if err != nil {
			return nil, err
		}
		limits[m.pkg] = 30*time.Second + 4*took
		fmt.Fprintf(w, "baseline %s: passes in %s\n", m.pkg, took.Round(time.Second/10))
	}
	return limits, nil
}

// tryAll tries mutations in the drawn order until n of them compiled. A package without a
// baseline was not among the first n; its mutations are passed over.
func (r runner) tryAll(ctx context.Context, w io.Writer, o options, drawn []mutation,
	limits map[string]time.Duration,
) ([]result, error) {
	var (
		mu       sync.Mutex
		next     int
		compiled int
		results  []result
		failed   error
		wg       sync.WaitGroup
	)
	take := func() (mutation, bool) {
		mu.Lock()
		defer mu.Unlock()
		for next < len(drawn) && compiled < o.n && failed == nil {
			m := drawn[next]
			next++
			if limits[m.pkg] > 0 {
				compiled++
				return m, true
			}
		}
		return mutation{}, false
	}
	for range o.workers {
		wg.Go(func() {
			for m, ok := take(); ok; m, ok = take() {
				got, err := r.try(ctx, m, limits[m.pkg])
				mu.Lock()
				switch {
				case err != nil:
					failed = cmp.Or(failed, err)
				case got == invalid:
					compiled--
				default:
					results = append(results, result{m, got})
					fmt.Fprintf(w, "%4d %-9s %s:%d %s\n", len(results), got, m.file, m.line, m.operator)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return results, failed
}

func report(w io.Writer, results []result, known map[string]string, minimum float64) error {
	slices.SortFunc(results, func(a, b result) int {
		return cmp.Or(strings.Compare(a.file, b.file), a.line-b.line, a.start-b.start)
	})
	dead, alive, equivalent := 0, 0, 0
	for _, r := range results {
		switch {
		case r.outcome != survived:
			dead++
		case known[r.key()] != "":
			equivalent++
			fmt.Fprintf(w, "\nequivalent: %s:%d: %s\n", r.file, r.line, known[r.key()])
		default:
			alive++
			fmt.Fprintf(w, "\nsurvivor: %s:%d (%s)\n  %s\n", r.file, r.line, r.operator, r.key())
		}
	}
	share := 1.0
	if dead+alive > 0 {
		share = float64(dead) / float64(dead+alive)
	}
	fmt.Fprintf(
		w,
		"\n%d mutations: %d killed, %d survived, %d equivalent; %.1f%% of those that are not equivalent killed\n",
		len(results),
		dead,
		alive,
		equivalent,
		100*share,
	)
	if share < minimum {
		return fmt.Errorf("%.1f%% killed, want at least %.1f%%", 100*share, 100*minimum)
	}
	return nil
}

// readEquivalent reads lines of a mutation's key, " # " and the reason.
func readEquivalent(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	out := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, reason, found := strings.Cut(line, " # ")
		if !found || reason == "" {
			return nil, fmt.Errorf("%s: no reason in %q", path, line)
		}
		out[key] = reason
	}
	return out, nil
}
