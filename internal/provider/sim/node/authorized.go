package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// authorizedFiles are the files below the home directory that decide who gets in, as sshd reads
// them.
var authorizedFiles = []string{".ssh/authorized_keys", ".ssh/authorized_keys2"}

const maxAuthorized = 1 << 20 // bytes of one file

var errNotAllowed = errors.New("this key or user is not allowed")

// parseKeys reads the keys that a machine is ordered with. They are plain lines: options belong
// into the machine's own authorized_keys.
func parseKeys(lines []string) error {
	if len(lines) == 0 {
		return errors.New("a machine needs at least one SSH key")
	}
	for i, line := range lines {
		key, _, options, rest, err := gossh.ParseAuthorizedKey([]byte(line))
		switch {
		case err != nil:
			return fmt.Errorf("SSH key %d: %w", i+1, err)
		case len(options) > 0:
			return fmt.Errorf("SSH key %d has options, which are not supported", i+1)
		case strings.TrimSpace(string(rest)) != "":
			return fmt.Errorf("SSH key %d has more than one line", i+1)
		case strings.Contains(key.Type(), "-cert-"):
			return fmt.Errorf("SSH key %d is a certificate, which is not supported", i+1)
		}
	}
	return nil
}

// writeKeys adds the keys that an authorized_keys file does not have yet.
func writeKeys(path string, keys []string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	have, err := readRegular(f)
	if err != nil {
		return err
	}
	var add bytes.Buffer
	if len(have) > 0 && have[len(have)-1] != '\n' {
		add.WriteByte('\n')
	}
	for _, line := range keys {
		if line = strings.TrimSpace(line); !bytes.Contains(have, []byte(line)) {
			add.WriteString(line + "\n")
		}
	}
	_, err = f.Write(add.Bytes())
	return err
}

func readRegular(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", f.Name())
	}
	return io.ReadAll(io.LimitReader(f, maxAuthorized))
}

// authorize searches the machine's files for a key at the time of the login. A line with a
// restriction that this server cannot keep lets no one in.
func (m *machine) authorize(a account, key gossh.PublicKey, from net.Addr, now time.Time) (*grant, error) {
	address := netip.Addr{}
	if tcp, ok := from.(*net.TCPAddr); ok {
		address = tcp.AddrPort().Addr().Unmap()
	}
	wire := key.Marshal()
	for _, name := range authorizedFiles {
		text, err := readAuthorized(a.home, name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "machine: log in:", err)
			continue
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			line = bytes.TrimSpace(line)
			if len(line) == 0 || line[0] == '#' {
				continue
			}
			listed, _, options, _, err := gossh.ParseAuthorizedKey(line)
			if err != nil || !bytes.Equal(listed.Marshal(), wire) {
				continue
			}
			g, err := parseOptions(options)
			if err == nil {
				err = g.admits(address, now)
			}
			if err == nil {
				g.account = a
				return g, nil
			}
			fmt.Fprintf(os.Stderr, "machine: log in: %s, line %d: %v\n", name, i+1, err)
		}
	}
	return nil, errNotAllowed
}

// readAuthorized reads a file that only its user and root can have written, as sshd's
// StrictModes demands. The sshd of Debian also lets the user's own group write.
func readAuthorized(home, name string) ([]byte, error) {
	real, err := filepath.EvalSymlinks(filepath.Join(home, name))
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(real, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := safe(real, info); err != nil {
		return nil, err
	}
	for dir := filepath.Dir(real); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return nil, err
		}
		if err := safe(dir, info); err != nil {
			return nil, err
		}
		if dir == home || dir == filepath.Dir(dir) {
			return readRegular(f)
		}
	}
}

func safe(path string, info os.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user", path)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s may be written by others", path)
	}
	return nil
}
