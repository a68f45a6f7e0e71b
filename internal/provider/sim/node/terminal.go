package node

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"
	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

const (
	// drainTime is how long a terminal is read after its shell has ended while a background process
	// keeps it open.
	drainTime = 50 * time.Millisecond
	drainMost = 5 * time.Second
)

func (s *session) wantTerminal(payload []byte) bool {
	var v struct {
		Term                         string
		Columns, Rows, Width, Height uint32
		Modes                        string
	}
	if !s.grant.terminal || s.terminal || gossh.Unmarshal(payload, &v) != nil || strings.ContainsRune(v.Term, 0) ||
		len(v.Term) > 64 {
		return false
	}
	s.terminal, s.term, s.modes = true, v.Term, v.Modes
	s.size = winsize(v.Columns, v.Rows, v.Width, v.Height)
	return true
}

func winsize(columns, rows, width, height uint32) unix.Winsize {
	return unix.Winsize{Col: uint16(columns), Row: uint16(rows), Xpixel: uint16(width), Ypixel: uint16(height)}
}

func (s *session) resize(payload []byte) bool {
	var v struct{ Columns, Rows, Width, Height uint32 }
	if gossh.Unmarshal(payload, &v) != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = winsize(v.Columns, v.Rows, v.Width, v.Height)
	return s.tty == nil || setSize(s.tty, &s.size) == nil
}

// sendBreak does to the terminal what a BREAK on a serial line does.
func (s *session) sendBreak() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tty == nil {
		return false
	}
	return control(s.tty, func(fd int) error { return unix.IoctlSetInt(fd, sendBreakRequest, 0) }) == nil
}

// startTerminal starts the command on a new terminal.
func (s *session) startTerminal(cmd *exec.Cmd, greeting string) (output func(), err error) {
	tty, theirs, err := openTerminal()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	_ = os.Chown(theirs.Name(), os.Geteuid(), ttyGroup) // where the machine has that group
	_ = setModes(int(theirs.Fd()), s.modes)
	_ = setSize(tty, &s.size)
	cmd.Env = append(cmd.Env, "SSH_TTY="+theirs.Name())
	if s.term != "" {
		cmd.Env = append(cmd.Env, "TERM="+s.term)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if greeting != "" {
		_, _ = io.WriteString(s.ch, strings.ReplaceAll(greeting, "\n", "\r\n"))
	}
	if err := s.m.start(cmd); err != nil {
		tty.Close()
		return nil, err
	}
	s.mu.Lock()
	s.tty, s.process = tty, cmd.Process
	// The client may have changed the size since.
	_ = setSize(tty, &s.size)
	s.mu.Unlock()
	go func() { _, _ = io.Copy(tty, s.ch) }()
	done := make(chan struct{})
	go func() {
		copyTerminal(s.ch, tty)
		close(done)
	}()
	return func() {
		canStop := tty.SetReadDeadline(time.Now().Add(drainTime)) == nil
		if canStop {
			select {
			case <-done:
			case <-s.gone:
			}
		}
		s.mu.Lock()
		s.tty = nil
		s.mu.Unlock()
		tty.Close()
		select {
		case <-done:
		case <-time.After(drainTime): // no deadlines on this system's terminals, and a process holds this one
		}
	}, nil
}

// ttyGroup is the group of terminals on Debian.
const ttyGroup = 5

// openTerminal makes a terminal whose first end can be read with a deadline. The pty package leaves
// its file in a mode where reads cannot be stopped, and puts it back there whenever it sets the
// size.
func openTerminal() (ours, theirs *os.File, err error) {
	blocking, theirs, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	defer blocking.Close()
	fd, err := unix.FcntlInt(blocking.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return os.NewFile(uintptr(fd), "terminal"), theirs, nil
}

func setSize(tty *os.File, size *unix.Winsize) error {
	return control(tty, func(fd int) error { return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size) })
}

// control calls fn with a file's descriptor and leaves the file's mode as it is.
func control(f *os.File, fn func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	failed := c.Control(func(fd uintptr) { err = fn(int(fd)) })
	return errors.Join(failed, err)
}

// copyTerminal copies a terminal's output to its end. Once a read deadline is set, because the
// shell has ended, it also stops when nothing comes for drainTime, or after drainMost: a background
// process may keep the terminal.
func copyTerminal(w io.Writer, tty *os.File) {
	b := make([]byte, 32<<10)
	var ended time.Time
	idle := false
	for {
		n, err := tty.Read(b)
		if n > 0 {
			idle = false
			if _, err := w.Write(b[:n]); err != nil {
				return
			}
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			now := time.Now()
			if ended.IsZero() {
				ended = now
			}
			if idle || now.Sub(ended) > drainMost || tty.SetReadDeadline(now.Add(drainTime)) != nil {
				return
			}
			idle = true
		case err != nil:
			return
		}
	}
}

// Codes in the list of a terminal's modes that are no mode of their own.
const (
	modeEnd        = 0
	modeLast       = 159 // those above have no argument of a known size
	modeInputBaud  = 128
	modeOutputBaud = 129
)

// setModes gives a terminal the modes of the client's own: its special characters, whether it
// echoes, and so on. What this system does not have is left as it is.
func setModes(fd int, modes string) error {
	t, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return err
	}
	for b := []byte(modes); len(b) >= 5 && b[0] != modeEnd && b[0] <= modeLast; b = b[5:] {
		code, value := b[0], binary.BigEndian.Uint32(b[1:])
		switch {
		case code == modeInputBaud || code == modeOutputBaud:
			setSpeed(t, value)
		default:
			applyMode(t, code, value)
		}
	}
	return unix.IoctlSetTermios(fd, setTermios, t)
}

// applyMode sets one special character or flag.
func applyMode(t *unix.Termios, code byte, value uint32) {
	if i, ok := specialCharacters[code]; ok {
		// 255 in the protocol is what each system has for "none".
		t.Cc[i] = byte(value)
		if value == 255 {
			t.Cc[i] = noCharacter
		}
		return
	}
	set(&t.Iflag, inputModes[code], value)
	set(&t.Oflag, outputModes[code], value)
	set(&t.Cflag, controlModes[code], value)
	set(&t.Lflag, localModes[code], value)
	if mask := sizeModes[code]; mask != 0 && value != 0 {
		t.Cflag = t.Cflag&^unix.CSIZE | mask
	}
}

func set[T uint32 | uint64](flags *T, bit T, on uint32) {
	if on != 0 {
		*flags |= bit
	} else {
		*flags &^= bit
	}
}
