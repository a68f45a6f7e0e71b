package terminal

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// keepTimeout limits asking for tmux. A key with a forced command may run anything instead.
	keepTimeout = 10 * time.Second
	// stillRunning is the exit status of attach where the shell goes on without this terminal. It
	// is EX_TEMPFAIL of sysexits.h.
	stillRunning = 75

	// What keep's script prints last.
	keptNew, keptOld = "billet-shell: new", "billet-shell: kept"
)

// keepable are the names that need no quoting anywhere.
var keepable = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

// options make tmux invisible: no status line and no prefix key, and the terminal's own scrollback
// in place of another screen. Old versions know all of them.
const options = `set -g status off \; set -g prefix None \; set -g prefix2 None \; ` +
	`set -g history-limit 5000 \; set -s escape-time 20 \; set -g default-terminal screen-256color \; ` +
	`set -ga terminal-overrides ",xterm*:smcup@:rmcup@:Tc"`

// login is the shell in tmux: what a login without a command begins with. It may use tmux itself.
const login = `unset TMUX TMUX_PANE; [ -e ~/.hushlogin ] || cat /run/motd.dynamic /etc/motd 2>/dev/null; ` +
	`exec \"\${SHELL:-/bin/sh}\" -l`

// script returns a command that runs a script without single quotes, whatever the login shell is.
func script(text string) string { return "exec /bin/sh -c '" + text + "'" }

// tmux returns the beginning of a tmux command. Each shell has a server of its own: no file of the
// user configures it, and no other shell shares its environment or its fate.
func tmux(name string) string { return "tmux -u -L " + name + " -f /dev/null" }

// keep has the machine start the shell in tmux unless it runs already. kept is false where that is
// impossible, such as without tmux.
func keep(client *ssh.Client, c Config) (kept, resumed bool) {
	if !keepable.MatchString(c.Keep) {
		return false, false
	}
	session, err := client.NewSession()
	if err != nil {
		return false, false
	}
	defer func() { _ = session.Close() }()
	timeout := time.AfterFunc(keepTimeout, func() { _ = session.Close() })
	defer timeout.Stop()
	out, err := session.StdoutPipe()
	if err != nil {
		return false, false
	}
	if err := session.Start(script(fmt.Sprintf(
		`command -v tmux >/dev/null || exit 1; %[1]s has-session -t %[2]s 2>/dev/null && echo "%[5]s" && exit; `+
			`%[1]s start-server \; %[3]s \; new-session -d -s %[2]s -x %[6]d -y %[7]d /bin/sh -c "%[4]s" && `+
			`echo "%[8]s"`,
		tmux(c.Keep), c.Keep, options, login, keptOld, c.Columns, c.Rows, keptNew,
	))); err != nil {
		return false, false
	}
	// A startup file of the shell may print anything first.
	text, _ := io.ReadAll(io.LimitReader(out, 64<<10))
	said := strings.TrimSpace(string(text))
	return strings.HasSuffix(said, keptNew) || strings.HasSuffix(said, keptOld), strings.HasSuffix(said, keptOld)
}

// attach returns the command that connects a terminal to the shell of that name. Where the shell
// is continued, what has scrolled off its screen comes first, and is moved off this one.
func attach(name string, rows int, resumed bool) string {
	history := ""
	if resumed {
		history = fmt.Sprintf(
			`if [ "$(%[1]s display-message -p -t %[2]s "#{history_size}")" -gt 0 ] 2>/dev/null; then `+
				`%[1]s capture-pane -p -e -J -S - -E -1 -t %[2]s; `+
				`i=0; while [ $i -lt %[3]d ]; do echo; i=$((i+1)); done; fi; `,
			tmux(name), name, rows,
		)
	}
	return script(history + fmt.Sprintf(
		`%[1]s attach-session -d -t %[2]s; status=$?; `+
			`%[1]s has-session -t %[2]s 2>/dev/null && exit %[3]d; exit $status`,
		tmux(name), name, stillRunning,
	))
}
