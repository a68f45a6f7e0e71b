package crashpoint

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// steps says in the environment that this process is to reach steps: names with commas.
const steps = "BILLET_CRASHPOINT_TEST_REACH"

func TestMain(m *testing.M) {
	if names := os.Getenv(steps); names != "" {
		for name := range strings.SplitSeq(names, ",") {
			Reach(name)
			os.Stdout.WriteString(name + "\n")
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// reach runs a process armed with at that reaches those steps, and returns which it left behind it
// and whether it was killed.
func reach(t *testing.T, armedAt string, names ...string) (passed []string, killed bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), Variable+"="+armedAt, steps+"="+strings.Join(names, ","))
	var out bytes.Buffer
	cmd.Stdout = &out
	err := cmd.Run()
	if e, is := errors.AsType[*exec.ExitError](err); is {
		s := e.Sys().(syscall.WaitStatus)
		killed = s.Signaled() && s.Signal() == syscall.SIGKILL
		if !killed {
			t.Fatalf("armed with %q it ended by itself: %v", armedAt, err)
		}
	} else if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(out.String()), killed
}

func TestProcessEndsAtTheArmedPointOnly(t *testing.T) {
	a, b := ChargeBeforeCommit, LaunchAfterCall
	for _, k := range []struct {
		at     string
		passed []string
		killed bool
	}{
		{"", []string{a, b, a, a, b}, false},
		{a, nil, true},
		{b, []string{a}, true},
		{a + ":2", []string{a, b}, true},
		{a + ":3", []string{a, b, a}, true},
		{a + ":4", []string{a, b, a, a, b}, false},
		{DetachAfterCall, []string{a, b, a, a, b}, false},
	} {
		if passed, killed := reach(t, k.at, a, b, a, a, b); killed != k.killed || !slices.Equal(passed, k.passed) {
			t.Errorf("armed with %q: passed %v, killed %t; want %v, %t", k.at, passed, killed, k.passed, k.killed)
		}
	}
}

func TestUnknownPointCannotBeArmed(t *testing.T) {
	for _, s := range []string{"charge", "charge.before-commit:", "charge.before-commit:0", "charge.before-commit:x",
		":1"} {
		if a, err := parse(s); err == nil {
			t.Errorf("%q armed %+v", s, a)
		}
	}
}

func TestUnarmedPointCostsNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { Reach(ChargeBeforeCommit) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkReach(b *testing.B) {
	for b.Loop() {
		Reach(ChargeBeforeCommit)
	}
}

// Each constant is in All, once, and is the argument of a call of Reach somewhere in the repository
// outside this package.
func TestEveryPointIsListedAndReachedByCode(t *testing.T) {
	t.Parallel()
	points, reached := constants(t), reachedPoints(t)
	for name, value := range points {
		if !slices.Contains(All, value) {
			t.Errorf("%s is not in All: the crash suite would leave it out", name)
		}
		if !reached[name] {
			t.Errorf("no code reaches %s", name)
		}
	}
	unique := slices.Compact(slices.Sorted(slices.Values(All)))
	if len(unique) != len(All) || len(All) != len(points) {
		t.Errorf("All has %d names, %d of them different; want the %d constants", len(All), len(unique), len(points))
	}
}

// constants returns the values of the package's points by the names of their constants.
func constants(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "crashpoint.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, d := range file.Decls {
		g, is := d.(*ast.GenDecl)
		if !is || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if name := v.Names[0].Name; name != "Variable" {
				values[name] = strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`)
			}
		}
	}
	return values
}

// reachedPoints returns the constants that other packages' code passes to Reach.
func reachedPoints(t *testing.T) map[string]bool {
	t.Helper()
	reached := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			filepath.Dir(path) == filepath.Join("..", "crashpoint") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if name := reachArgument(n); name != "" {
				reached[name] = true
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return reached
}

// reachArgument returns the constant of this package that the call passes to Reach; "" for any
// other node.
func reachArgument(n ast.Node) string {
	call, is := n.(*ast.CallExpr)
	if !is || len(call.Args) != 1 {
		return ""
	}
	if f, is := call.Fun.(*ast.SelectorExpr); !is || f.Sel.Name != "Reach" {
		return ""
	}
	a, is := call.Args[0].(*ast.SelectorExpr)
	if !is {
		return ""
	}
	if p, is := a.X.(*ast.Ident); !is || p.Name != "crashpoint" {
		return ""
	}
	return a.Sel.Name
}
