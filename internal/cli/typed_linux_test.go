package cli_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"
)

// typed runs a command on a terminal with cursor control. Its first argument is a file with a line
// for each input: the text that must appear on the screen first, " -> ", and the keys, as in a Go
// string. It writes the screen to the file "screen".
func typed(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: typed file command...")
	}
	path, err := exec.LookPath(args[1])
	if err != nil { // the test's own commands are only on the script's PATH
		path = ts.Getenv("PATH")
		path = path[:strings.IndexByte(path, ':')] + "/" + args[1]
	}
	cmd := exec.Command(path, args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "BILLET_URL", "BILLET_API_KEY", "XDG_CONFIG_HOME"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	cmd.Env = append(cmd.Env, "TERM=xterm")
	screen, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 120})
	ts.Check(err)
	defer screen.Close()
	watchdog := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer watchdog.Stop()

	var all, unread strings.Builder
	buffer := make([]byte, 4096)
	read := func() bool {
		n, err := screen.Read(buffer)
		all.Write(buffer[:n])
		unread.Write(buffer[:n])
		return err == nil
	}
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		wanted, keys, ok := strings.Cut(strings.TrimSpace(line), " -> ")
		if !ok {
			ts.Fatalf("%q has no ->", line)
		}
		for !strings.Contains(unread.String(), wanted) {
			if !read() {
				ts.Fatalf("the command ended before %q:\n%s", wanted, all.String())
			}
		}
		unread.Reset()
		keys, err = strconv.Unquote(`"` + keys + `"`)
		ts.Check(err)
		_, err = screen.Write([]byte(keys))
		ts.Check(err)
	}
	for read() {
	}
	if err := cmd.Wait(); (err != nil) != neg {
		ts.Fatalf("%v:\n%s", err, all.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs("screen"), []byte(all.String()), 0o600))
}
