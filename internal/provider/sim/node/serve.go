package node

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/billetcloud/billet/internal/sftpserver"
)

// guestPath is the search path of a machine's processes.
const guestPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// guestUmask is that of a server, whatever that of the process is which started the machine: the
// files of /etc are for all users of the machine, and so are those that its sessions make, unless
// they say otherwise.
const guestUmask = 0o022

// machine is what the SSH server knows about the machine it serves.
type machine struct {
	cfg   config
	home  string
	path  string // search path
	shell string
	self  string // the running binary as this machine sees it
	motd  string

	mu       sync.Mutex
	sessions map[int]bool // process groups of the running sessions
	closed   bool
}

func newMachine(cfg config) (*machine, error) {
	m := &machine{
		cfg:      cfg,
		home:     "/root",
		path:     guestPath,
		shell:    guestShell(),
		self:     "/.billet/machine",
		motd:     motd(cfg),
		sessions: map[int]bool{},
	}
	if !cfg.Isolated {
		m.home = plainHome(cfg.Dir)
		m.self = selfExecutable()
		tools := filepath.Join(cfg.Dir, diskDir, "bin")
		m.path = tools + ":" + guestPath
		if err := os.MkdirAll(tools, 0o755); err != nil {
			return nil, err
		}
		// A script needs the binary's own path: m.self would be the shell that reads the script.
		if err := writeGPUTools(tools, cfg.Executable, cfg.Hostname, cfg.GPUs); err != nil {
			return nil, err
		}
		for name, hostDir := range cfg.Volumes {
			if err := attachPlain(cfg.Dir, name, hostDir); err != nil {
				return nil, err
			}
		}
	}
	if err := m.firstStart(); err != nil {
		// What the user has put in its way is the user's wish.
		fmt.Fprintln(os.Stderr, "machine: first start:", err)
	}
	return m, nil
}

// guestShell is the login shell: bash where the host has it, as on the machines this one stands
// for.
func guestShell() string {
	if _, err := os.Stat("/bin/bash"); err == nil {
		return "/bin/bash"
	}
	return "/bin/sh"
}

// runServe is the SSH server of a machine. It returns when the listener is closed, or on a plain
// machine when it is told to end.
func runServe() error {
	listener, m, err := prepareServe()
	answer(err)
	if err != nil {
		return err
	}
	if !m.cfg.Isolated {
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGTERM)
		go func() {
			<-end
			m.endSessions()
			listener.Close()
		}()
	}
	if m.cfg.CloudInit != "" {
		go m.firstBoot()
	}
	keys, err := signers(m.cfg.HostKeys)
	if err != nil {
		return err
	}
	return newServer(m, keys).serve(listener)
}

func prepareServe() (net.Listener, *machine, error) {
	syscall.CloseOnExec(fdReply)
	syscall.CloseOnExec(fdSSH)
	cfg, err := readConfig()
	if err != nil {
		return nil, nil, err
	}
	if err := hideProcess(); err != nil {
		return nil, nil, err
	}
	syscall.Umask(guestUmask)
	f := os.NewFile(fdSSH, "listener")
	listener, err := net.FileListener(f)
	f.Close()
	if err != nil {
		return nil, nil, fmt.Errorf("use the listener: %w", err)
	}
	m, err := newMachine(cfg)
	return listener, m, err
}

// start starts a command of a session as the leader of a process group and remembers it until
// finish.
func (m *machine) start(cmd *exec.Cmd) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return net.ErrClosed
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	m.sessions[cmd.Process.Pid] = true
	return nil
}

// finish forgets a command that was waited for. What it left in its process group goes on running.
func (m *machine) finish(cmd *exec.Cmd) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// A plain machine remembers groups with members, since only it can end them.
	if m.cfg.Isolated || syscall.Kill(-cmd.Process.Pid, 0) != nil {
		delete(m.sessions, cmd.Process.Pid)
	}
}

// endSessions kills the process groups of all sessions; a plain machine's stand-in for the end of
// PID 1.
func (m *machine) endSessions() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for group := range m.sessions {
		_ = syscall.Kill(-group, syscall.SIGKILL)
	}
}

// firstBoot applies the cloud-config, within bounds.
func (m *machine) firstBoot() {
	if !m.cfg.Isolated {
		// Here it would write to the host itself.
		text := "cloud-init: not run: this machine is not isolated from its host\n"
		if err := os.WriteFile(filepath.Join(m.home, "cloud-init-output.log"), []byte(text), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "machine: cloud-init:", err)
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), cloudInitTimeout)
	defer cancel()
	cmd := exec.Command(m.self, InitArg, roleCloudInit)
	cmd.Env, cmd.Dir = m.environ(m.account()), "/"
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err == nil {
		err = m.start(cmd)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "machine: cloud-init:", err)
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer stop()
	_, err = in.Write([]byte(m.cfg.CloudInit))
	in.Close()
	if err := cmd.Wait(); err != nil {
		fmt.Fprintln(os.Stderr, "machine: cloud-init:", err)
	}
	m.finish(cmd)
	if err != nil {
		fmt.Fprintln(os.Stderr, "machine: cloud-init:", err)
	}
}

// runFiles serves SFTP for one session, in a process of its own: it opens whatever path the client
// names, and what a path like /proc/self/fd leads to must be nothing but a session's.
func runFiles() error {
	return sftpserver.Serve(os.Stdin, os.Stdout)
}

// handshakeTimeout bounds the time from connecting to being logged in.
const handshakeTimeout = 20 * time.Second
