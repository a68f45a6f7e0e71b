package node

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// account is what the machine's password file says of root.
type account struct {
	home, shell string
}

// account reads the password file at each login, so a changed shell holds from the next one on.
func (m *machine) account() account {
	a := account{m.home, m.shell}
	if !m.cfg.Isolated {
		return a
	}
	text, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return a
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(strings.TrimSuffix(line, "\n"), ":"); len(f) == 7 && f[0] == User {
			if f[5] != "" {
				a.home = f[5]
			}
			if f[6] != "" {
				a.shell = f[6]
			}
			break
		}
	}
	return a
}

// environ is the environment of an account's processes: nothing of the server's own.
func (m *machine) environ(a account) []string {
	env := []string{
		"USER=" + User, "LOGNAME=" + User, "HOME=" + a.home, "PATH=" + m.path, "SHELL=" + a.shell, "MAIL=/var/mail/" +
			User,
	}
	if !m.cfg.Isolated {
		return append(env, "LANG=C.UTF-8")
	}
	// On Debian, PAM reads these for each login.
	for _, path := range []string{"/etc/environment", "/etc/default/locale"} {
		if text, err := os.ReadFile(path); err == nil {
			env = append(env, variables(string(text))...)
		}
	}
	return env
}

// variables reads NAME=value lines as pam_env does: with or without "export", in quotes or not.
func variables(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(name, " \t\x00") {
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		all = append(all, name+"="+value)
	}
	return all
}

// environ is the environment of the session's program.
func (s *session) environ() []string {
	env := append(s.m.environ(s.grant.account), s.env...)
	local, remote := s.conn.LocalAddr().(*net.TCPAddr), s.conn.RemoteAddr().(*net.TCPAddr)
	env = append(env,
		// bash reads ~/.bashrc for `ssh machine command` where it finds this.
		fmt.Sprintf("SSH_CLIENT=%s %d %d", remote.IP, remote.Port, local.Port),
		fmt.Sprintf("SSH_CONNECTION=%s %d %s %d", remote.IP, remote.Port, local.IP, local.Port))
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	if s.agent != "" {
		env = append(env, "SSH_AUTH_SOCK="+s.agent)
	}
	return env
}

// homeFiles are what a Debian server has in root's home directory.
var homeFiles = map[string]string{
	".bashrc": "# Read by bash for interactive shells, and for commands that come over SSH.\n",
	".profile": `# Read by login shells.
if [ -n "$BASH" ] && [ -f ~/.bashrc ]; then
  . ~/.bashrc
fi
mesg n 2>/dev/null || true
`,
}

// profile is /etc/profile, which login shells read first.
const profile = `PATH=` + guestPath + `
export PATH
if [ -n "$PS1" ] && [ -n "$BASH" ]; then
  PS1='\u@\h:\w\$ '
  [ ! -r /etc/bash.bashrc ] || . /etc/bash.bashrc
fi
for file in /etc/profile.d/*.sh; do
  [ ! -r "$file" ] || . "$file"
done
unset file
`

// firstStart fills the home directory, once in the life of the machine's disk: the files of a
// Debian server, and the order's keys as cloud-init writes them. From then on authorized_keys alone
// decides, whatever its user makes of it.
func (m *machine) firstStart() error {
	done := "/var/lib/cloud/instance/sem/config_ssh"
	if !m.cfg.Isolated {
		done = filepath.Join(m.cfg.Dir, diskDir, "first-start")
	}
	if _, err := os.Lstat(done); err == nil {
		return nil
	}
	for name, text := range homeFiles {
		f, err := os.OpenFile(filepath.Join(m.home, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		_, err = f.WriteString(text)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	if err := writeKeys(filepath.Join(m.home, authorizedFiles[0]), m.cfg.Keys); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(done), 0o755); err != nil {
		return err
	}
	return os.WriteFile(done, nil, 0o644)
}
