package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVolumeLivesOn(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	l := newLogin(t)
	volume, other := t.TempDir(), t.TempDir()
	// What an earlier owner left is handed over too.
	if err := os.WriteFile(filepath.Join(volume, "old"), []byte("old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	spec := testSpec(t, l)
	spec.Volumes = map[string]string{"first": other}
	e := started(t, spec)
	c := connect(t, e, l)
	must(t, c, "echo from-the-start > /mnt/first/file")

	for range 2 { // the second is no error and changes nothing
		if err := AttachVolume(ctx, spec.Dir, "data", volume); err != nil {
			t.Fatal(err)
		}
	}
	if got := must(t, c, "cat /mnt/data/old && echo new > /mnt/data/new && grep -c ' /mnt/data ' "+
		"/proc/self/mountinfo && grep ' /mnt/data ' /proc/self/mountinfo"); !strings.HasPrefix(
		got,
		"old\n1\n",
	) ||
		!strings.Contains(got, "nosuid,nodev") {
		t.Errorf("inside: %q", got)
	}
	if b, err := os.ReadFile(filepath.Join(volume, "new")); err != nil || string(b) != "new\n" {
		t.Errorf("on the host: %q, %v", b, err)
	}
	if r := run(t, c, "ls -A /mnt/data/.. /mnt/data/../.. | grep -c "+filepath.Base(other)); r.code == 0 {
		t.Errorf("the volume's parent shows: %s", r.out)
	}

	for range 2 {
		if err := DetachVolume(ctx, spec.Dir, "data"); err != nil {
			t.Fatal(err)
		}
	}
	if r := run(t, c, "cat /mnt/data/new"); r.code == 0 {
		t.Error("the volume is still there")
	}
	if err := DetachVolume(ctx, spec.Dir, "first"); err != nil {
		t.Errorf("detach what was there from the start: %v", err)
	}

	// Into another machine.
	next := testSpec(t, l)
	next.Volumes = map[string]string{"data": volume}
	if got := must(t, connect(t, started(t, next), l), "cat /mnt/data/old /mnt/data/new && echo more >> "+
		"/mnt/data/new"); got != "old\nnew" {
		t.Errorf("in the next machine: %q", got)
	}
}

func TestVolumeInUseIsPulledOut(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	l := newLogin(t)
	volume := t.TempDir()
	spec := testSpec(t, l)
	c := connect(t, started(t, spec), l)
	if err := AttachVolume(ctx, spec.Dir, "data", volume); err != nil {
		t.Fatal(err)
	}
	must(
		t,
		c,
		"cd /mnt/data && (exec setsid sleep 1000 >/mnt/data/log 2>&1 &) ; sleep 1000 </dev/null >/dev/null 2>&1 & "+
			"echo $! > /root/pid",
	)
	if err := DetachVolume(ctx, spec.Dir, "data"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the users of the volume to be gone", func() bool {
		return run(t, c, "pgrep -x sleep").code != 0
	})
	if err := AttachVolume(ctx, spec.Dir, "data", volume); err != nil {
		t.Errorf("attach again: %v", err)
	}
	must(t, c, "test -e /mnt/data/log")
}

func TestVolumeMountPointIsNotFollowed(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	l := newLogin(t)
	spec := testSpec(t, l)
	c := connect(t, started(t, spec), l)
	must(t, c, "ln -s /etc /mnt/data")
	if err := AttachVolume(ctx, spec.Dir, "data", t.TempDir()); err == nil {
		t.Error("mounted through a symbolic link")
	}
	must(t, c, "test -e /etc/passwd && rm /mnt/data")
	if err := AttachVolume(ctx, spec.Dir, "data", t.TempDir()); err != nil {
		t.Error(err)
	}
	if r := run(t, c, "rmdir /mnt/data || mv /mnt/data /mnt/x"); r.code == 0 {
		t.Error("the mount point could be taken away")
	}
	for _, name := range []string{"", "..", "a/b", ".x", strings.Repeat("a", 64)} {
		if err := AttachVolume(ctx, spec.Dir, name, t.TempDir()); err == nil {
			t.Errorf("name %q was accepted", name)
		}
		if err := DetachVolume(ctx, spec.Dir, name); err == nil {
			t.Errorf("name %q was accepted", name)
		}
	}
}
