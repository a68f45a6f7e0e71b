//go:build linux

// Command billet-agent is the service agent of own servers. It is the only program of the system
// that a server's BMC starts from Billet's ISO image: the kernel runs it as the first process. It
// does the one job that billetd has for the machine, and then switches it off or restarts it.
// internal/rackagent has what it does; this command is the access to the real machine.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	_ "golang.org/x/crypto/x509roots/fallback" // the image has no other root certificates
	"golang.org/x/sys/unix"

	"github.com/billetcloud/billet/internal/rackagent"
)

func main() {
	if os.Getpid() != 1 && len(os.Args) == 2 {
		if do := map[string]func() error{
			"kexec": func() error { return kexec(os.Stdin) }, "jump": jump, "sftp": serveFiles,
		}[os.Args[1]]; do != nil {
			if err := do(); err != nil {
				fmt.Fprintln(os.Stderr, "billet-agent:", err)
				os.Exit(1)
			}
			return
		}
	}
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "billet-agent erases the drives of the machine that it runs on. "+
			"It only runs as the first process of Billet's ISO image.")
		os.Exit(2)
	}
	mounts()
	c := openConsole()
	defer func() { // a first process that ends stops the kernel, and its text with it
		if p := recover(); p != nil {
			c.say(fmt.Sprintf("Stopped by an error of this program: %v\n%s", p, debug.Stack()))
			select {}
		}
	}()
	p, err := parameters()
	next := rackagent.Halt
	if err != nil {
		c.say("Stopped: " + err.Error())
	} else {
		next = run(context.Background(), c, p)
	}
	if p.Restart && next != rackagent.Restart {
		// Without a BMC, a machine that is off or stays here is lost.
		time.Sleep(restartAfter)
		next = rackagent.Restart
	}
	unix.Sync()
	switch next {
	case rackagent.Restart:
		c.say("Starting the machine from its drive.")
		c.say(fmt.Sprint(unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)))
	case rackagent.PowerOff:
		c.say("Switching the machine off.")
		c.say(fmt.Sprint(unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)))
	}
	select {}
}

// restartAfter is how long the console can be read before a machine without a BMC restarts.
const restartAfter = 20 * time.Second

// parameters reads what billetd says: in a file if another system started the agent, else on the
// kernel command line.
func parameters() (rackagent.Parameters, error) {
	line, err := os.ReadFile(rackagent.ParametersFile)
	own := err == nil
	if !own {
		if line, err = os.ReadFile("/proc/cmdline"); err != nil {
			return rackagent.Parameters{}, err
		}
	}
	p, err := rackagent.ParseCommandLine(string(line))
	if err != nil {
		err = fmt.Errorf("the kernel command line does not have what this agent needs: %w. "+
			"This image was not started by billetd", err)
	}
	p.Restart = own
	return p, err
}

func run(ctx context.Context, c *console, p rackagent.Parameters) rackagent.Next {
	c.say("Billet's service agent is starting.")
	m := modules{say: c.say, loaded: map[string]bool{}}
	if err := configureNetwork(ctx, p, m.load); err != nil {
		c.say("Stopped: " + err.Error())
		return rackagent.Halt
	}
	var opened []*rackagent.Drive
	a := &rackagent.Agent{
		Parameters: p,
		Server:     rackagent.PinnedClient(p.Pin),
		Images:     imageClient(),
		Tenants:    rackagent.TenantClient,
		Inspect: func(ctx context.Context) (rackagent.Hardware, []*rackagent.Drive, error) {
			drives, err := settledDrives(ctx, m.load)
			if err != nil {
				return rackagent.Hardware{}, nil, err
			}
			opened = drives
			return inspect(), drives, nil
		},
		Serve: func(ctx context.Context, s rackagent.Shell) error {
			closeDrives(opened)
			return rescue(ctx, s, c.say)
		},
		Say: c.say, Now: time.Now, Wait: wait, Heartbeat: 10 * time.Second, Temporary: "/tmp",
	}
	return a.Run(ctx)
}

// imageClient reads images of any server, by the certificate authorities that are built in.
func imageClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   30 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second, MaxResponseHeaderBytes: rackagent.MaxHeader,
	}}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// mounts mounts the kernel's file systems. The image's directories exist.
func mounts() {
	for _, m := range []struct{ kind, at, options string }{
		{"proc", "/proc", ""}, {"sysfs", "/sys", ""}, {"devtmpfs", "/dev", ""}, {"tmpfs", "/tmp", "size=80%"},
	} {
		if err := unix.Mount(m.kind, m.at, m.kind, unix.MS_NOSUID|unix.MS_NOEXEC, m.options); err != nil {
			fmt.Println("mount", m.at, err)
		}
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF) // Ctrl+Alt+Delete does not interrupt an erasure
}

// console writes to every console of the kernel: the screen and the serial port.
type console struct {
	files []*os.File
	start time.Time
}

func openConsole() *console {
	c := &console{start: time.Now()}
	if f, err := os.OpenFile("/dev/console", os.O_RDWR|unix.O_NOCTTY, 0); err == nil { // for errors of Go's runtime
		_ = unix.Dup3(int(f.Fd()), 1, 0)
		_ = unix.Dup3(int(f.Fd()), 2, 0)
	}
	active, _ := os.ReadFile("/sys/class/tty/console/active")
	for name := range strings.FieldsSeq(string(active)) {
		if f, err := os.OpenFile(filepath.Join("/dev", name), os.O_WRONLY|unix.O_NOCTTY, 0); err == nil {
			c.files = append(c.files, f)
		}
	}
	return c
}

func (c *console) say(text string) {
	for _, f := range c.files {
		fmt.Fprintf(f, "billet-agent %.1fs: %s\r\n", time.Since(c.start).Seconds(), text)
	}
}
