package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// eventually waits for a condition of real processes.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := poll(ctx, func() (bool, error) { return ok(), nil }); err != nil {
		t.Fatalf("waited in vain for: %s", what)
	}
}

func TestPowerOffAndOn(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	l := newLogin(t)
	spec := testSpec(t, l)
	first := started(t, spec)
	if again, err := Start(ctx, spec); err != nil || !reflect.DeepEqual(again, first) {
		t.Errorf("starting a running machine: %+v, %v; want %+v", again, err, first)
	}
	if got, ok := Running(spec.Dir); !ok || !reflect.DeepEqual(got, first) {
		t.Errorf("running: %+v, %v", got, ok)
	}
	c := connect(t, first, l)
	mark := fmt.Sprintf("%d", 100000+os.Getpid())
	must(
		t,
		c,
		"echo kept > /root/file; echo kept > /usr/local/file; echo kept > /var/file; chown 0:0 /root/file; (setsid "+
			"sleep "+mark+" >/dev/null 2>&1 &)",
	)
	running := func() bool { return exec.Command("pgrep", "-f", "^sleep "+mark+"$").Run() == nil }
	eventually(t, "the process to be seen on the host", running)

	if err := Stop(ctx, spec.Dir); err != nil {
		t.Fatal(err)
	}
	if running() {
		t.Error("a process outlived its machine")
	}
	if _, ok := Running(spec.Dir); ok {
		t.Error("still running")
	}
	if err := Stop(ctx, spec.Dir); err != nil {
		t.Errorf("stopping twice: %v", err)
	}
	if err := AttachVolume(ctx, spec.Dir, "data", t.TempDir()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("attaching to a stopped machine: %v", err)
	}

	second, err := Start(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	if second.Address != first.Address || !slices.Equal(second.HostKeys, first.HostKeys) || second.PID == first.PID {
		t.Errorf("after the restart %+v, before %+v", second, first)
	}
	if got := must(t, connect(t, second, l), "cat /root/file /usr/local/file /var/file"); got != "kept\nkept\nkept" {
		t.Errorf("files after the restart: %q", got)
	}
}

func TestWipe(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	l := newLogin(t)
	spec := testSpec(t, l)
	first := started(t, spec)
	if err := Wipe(ctx, spec.Dir); !errors.Is(err, ErrRunning) {
		t.Errorf("wiping a running machine: %v", err)
	}
	must(t, connect(t, first, l), "echo kept > /root/file")
	if err := Stop(ctx, spec.Dir); err != nil {
		t.Fatal(err)
	}
	if err := Wipe(ctx, spec.Dir); err != nil {
		t.Fatal(err)
	}
	third, err := Start(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	if third.Address != first.Address ||
		slices.ContainsFunc(third.HostKeys, func(k string) bool { return slices.Contains(first.HostKeys, k) }) {
		t.Errorf("after the wipe %+v, before %+v", third, first)
	}
	if r := run(t, connect(t, third, l), "cat /root/file"); r.code == 0 {
		t.Error("a file outlived the wipe")
	}
}

// What a user leaves in the persistent directories must not lead the next start to the host's
// files.
func TestLinksLeftInsideStayInside(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	l := newLogin(t)
	spec := testSpec(t, l)
	// Not below /tmp, which is out of sight while the machine's file tree is built there.
	host, err := os.MkdirTemp("/var/tmp", "node-open-to-all-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(host) })
	if err := os.Chmod(host, 0o777); err != nil {
		t.Fatal(err)
	}
	c := connect(t, started(t, spec), l)
	must(
		t,
		c,
		"for d in /usr/local/bin /usr/local/lib /var/tmp /var/log /var/run; do rm -rf $d && "+
			"ln -s "+host+" $d || exit 1; done; ln -s "+host+"/made /var/cache/x",
	)
	if err := Stop(ctx, spec.Dir); err != nil {
		t.Fatal(err)
	}
	e, err := Start(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	must(t, connect(t, e, l), "test -L /var/tmp")
	entries, err := os.ReadDir(host)
	if err != nil || len(entries) > 0 {
		t.Errorf("written to the host: %v, %v", entries, err)
	}
	if info, err := os.Stat(host); err != nil || info.Mode() != os.ModeDir|0o777 {
		t.Errorf("changed on the host: %v, %v", info.Mode(), err)
	}
}

func TestMachineOutlivesItsServer(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	spec := testSpec(t, l)
	// A server that starts a machine and ends: the test binary in another role.
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestStartAndLeave$")
	cmd.Env = append(
		os.Environ(),
		"NODE_TEST_DIR="+spec.Dir,
		"NODE_TEST_KEY="+l.line,
		"NODE_TEST_ADDRESS="+spec.Address.String(),
	)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { _ = Remove(within(t), spec.Dir) })
	e, ok := Running(spec.Dir)
	if !ok {
		t.Fatal("not running any more")
	}
	c := connect(t, e, l)
	volume := t.TempDir()
	if err := AttachVolume(within(t), spec.Dir, "data", volume); err != nil {
		t.Errorf("attach to an adopted machine: %v", err)
	}
	must(t, c, "touch /mnt/data/x")
	if err := Stop(within(t), spec.Dir); err != nil {
		t.Fatal(err)
	}
	if _, ok := Running(spec.Dir); ok {
		t.Error("still running")
	}
}

func TestStartAndLeave(t *testing.T) {
	dir := os.Getenv("NODE_TEST_DIR")
	if dir == "" {
		t.Skip("only for TestMachineOutlivesItsServer")
	}
	l := login{line: os.Getenv("NODE_TEST_KEY")}
	spec := testSpec(t, l)
	spec.Dir = dir
	if _, err := Start(context.Background(), spec); err != nil {
		t.Fatal(err)
	}
}

func TestAnotherProcessIsNotTheMachine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := state{PID: os.Getpid(), Started: processStart(os.Getpid()), Boot: bootID(), Isolated: true}
	if !s.alive() {
		t.Fatal("this process is not alive")
	}
	for name, change := range map[string]func(*state){
		"start time": func(s *state) { s.Started += "1" },
		"boot":       func(s *state) { s.Boot = "another" },
		"no process": func(s *state) { s.PID = 0 },
	} {
		other := s
		change(&other)
		if err := writeState(dir, other); err != nil {
			t.Fatal(err)
		}
		if _, ok := Running(dir); ok {
			t.Errorf("%s: taken for the machine", name)
		}
		if err := Stop(within(t), dir); err != nil { // or else this test is dead
			t.Errorf("%s: stop: %v", name, err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, stateFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("state file: %v, %v", info.Mode(), err)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	const n = 20
	l := newLogin(t)
	specs := make([]Spec, n)
	for i := range specs {
		specs[i] = testSpec(t, l)
		specs[i].Hostname = fmt.Sprintf("many-%d", i)
	}
	var all sync.WaitGroup
	endpoints, errs := make([]Endpoint, n), make([]error, n)
	begin := time.Now()
	for i := range specs {
		all.Go(func() { endpoints[i], errs[i] = Start(within(t), specs[i]) })
	}
	all.Wait()
	t.Logf("%d machines after %v", n, time.Since(begin))
	seen := map[string]bool{}
	for i, e := range endpoints {
		t.Cleanup(func() { _ = Remove(within(t), specs[i].Dir) })
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		if got := must(t, connect(t, e, l), "hostname"); got != specs[i].Hostname {
			t.Errorf("machine %d is %q", i, got)
		}
		if seen[e.Address.String()] {
			t.Errorf("%v twice", e.Address)
		}
		seen[e.Address.String()] = true
	}
}

func TestStartTwiceAtOnce(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	spec := testSpec(t, l)
	var both sync.WaitGroup
	var endpoints [2]Endpoint
	for i := range endpoints {
		both.Go(func() {
			var err error
			if endpoints[i], err = Start(within(t), spec); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	t.Cleanup(func() { _ = Remove(within(t), spec.Dir) })
	if !reflect.DeepEqual(endpoints[0], endpoints[1]) {
		t.Errorf("two machines: %+v", endpoints)
	}
}

func TestStartThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	l := newLogin(t)
	spec := testSpec(t, l)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Start(ctx, spec); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled start: %v", err)
	}
	spec.Volumes = map[string]string{"gone": filepath.Join(t.TempDir(), "missing")}
	if _, err := Start(within(t), spec); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("start with a missing volume: %v", err)
	}
	if _, ok := Running(spec.Dir); ok {
		t.Error("running")
	}
	bad := spec
	bad.AuthorizedKeys = []string{`command="/bin/false" ` + l.line}
	bad.Volumes = map[string]string{"../x": "relative"}
	bad.CloudInit = "#!/bin/sh"
	_, err := Start(within(t), bad)
	for _, want := range []string{"options", "volume name", "#cloud-config"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}

// TestPlain shows the way without namespaces. It is not parallel: it changes what this process
// knows of its host.
func TestPlain(t *testing.T) {
	isolation.Lock()
	known, isolated, reason := isolation.known, isolation.isolated, isolation.reason
	isolation.known, isolation.isolated, isolation.reason = true, false, errors.New(
		"namespaces were forbidden by the test",
	)
	isolation.Unlock()
	t.Cleanup(func() {
		isolation.Lock()
		defer isolation.Unlock()
		isolation.known, isolation.isolated, isolation.reason = known, isolated, reason
	})
	l := newLogin(t)
	spec := testSpec(t, l)
	volume := t.TempDir()
	spec.Volumes = map[string]string{"data": volume}
	spec.CloudInit = "#cloud-config\nruncmd: [touch /tmp/plain-must-not-run]\n"
	if os.Geteuid() == 0 {
		_, err := Start(within(t), spec)
		if !errors.Is(err, ErrUnisolatedRoot) || !strings.Contains(err.Error(), "forbidden by the test") {
			t.Fatalf("as root: %v", err)
		}
		return
	}
	if _, err := Start(within(t), spec); !errors.Is(err, ErrUnisolated) ||
		!strings.Contains(err.Error(), "forbidden by the test") {
		t.Fatalf("without being asked for: %v", err)
	}
	spec.Unisolated = true
	e := started(t, spec)
	if e.Isolated {
		t.Error("says it is isolated")
	}
	c := connect(t, e, l)
	if got := must(t, c, "echo $HOME; touch ~/mnt/data/here; nvidia-smi -L | wc -l"); got != plainHome(spec.Dir)+"\n2" {
		t.Errorf("got %q", got)
	}
	if _, err := os.Stat(filepath.Join(volume, "here")); err != nil {
		t.Error(err)
	}
	if !strings.Contains(motd(config{}), "NOT ISOLATED") {
		t.Error("the greeting does not say what this is")
	}
	if err := DetachVolume(within(t), spec.Dir, "data"); err != nil {
		t.Error(err)
	}
	if r := run(t, c, "ls ~/mnt/data"); r.code == 0 {
		t.Error("the volume is still there")
	}
	sftpRoundTrip(t, c)
	pid := must(t, c, "sleep 1000 >/dev/null 2>&1 & echo $!")
	c.Close()
	if err := Stop(within(t), spec.Dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the session's process to be gone", func() bool {
		b, err := os.ReadFile("/proc/" + pid + "/stat")
		return err != nil || strings.Contains(string(b), ") Z ")
	})
	if _, err := gossh.Dial("tcp", e.Address.String(), clientConfig(t, e, gossh.PublicKeys(l.signer))); err == nil {
		t.Error("SSH still answers")
	}
}

// TestAsAnOrdinaryUser runs this package's tests once more without root's rights.
func TestAsAnOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this is an ordinary user")
	}
	t.Parallel()
	const id = 40404
	tmp, err := os.MkdirTemp("", "node-user-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	if err := os.Chown(tmp, id, id); err != nil {
		t.Fatal(err)
	}
	// The test's binary lies where only root may go.
	binary := filepath.Join(tmp, "node.test")
	content, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, content, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(
		within(t),
		binary,
		"-test.v",
		"-test.run=^(TestOnlyTheKeyGetsIn|TestExec|TestShellOnATerminal|TestForwarding|TestNothingOfTheHostIsReachable|TestPowerOffAndOn|TestLinksLeftInsideStayInside|TestLimitsAndHangUp|TestVolume.*|TestPlain|TestFileTransfer|TestCloudInit|TestMachineOutlivesItsServer|TestStartAndLeave)$",
	)
	cmd.Dir = tmp
	cmd.Env = []string{"TMPDIR=" + tmp, "HOME=" + tmp, "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := strings.Count(string(out), "--- PASS"); n < 14 {
		t.Errorf("only %d tests ran:\n%s", n, out)
	}
}

// A server that was killed while it found out whether machines can be isolated leaves something
// behind; the next one does not.
func TestTheProbeLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), probeDir)
	if err := os.MkdirAll(filepath.Join(dir, diskDir, "root", "left"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := probe(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the probe: %v", err)
	}
}
