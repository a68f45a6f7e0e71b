package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/billetcloud/billet/client"
	"github.com/charmbracelet/colorprofile"
	"golang.org/x/term"
)

// progress shows a deployment's progress: a line for each finished step and, on a terminal, an
// updating line for the active one.
type progress struct {
	t *tool
	// typical is the usual total time, 0 if unknown.
	typical time.Duration
	begun   time.Time

	mu    sync.Mutex
	shown map[string]string // the last printed status of each step
	now   string            // the step that is active
	drawn bool
	stop  chan struct{}
	done  sync.WaitGroup
}

// newProgress starts the display. The caller must call end.
func (t *tool) newProgress(typical time.Duration) *progress {
	p := &progress{t: t, typical: typical, begun: t.Now(), shown: map[string]string{}, stop: make(chan struct{})}
	if terminal(t.Err) && t.env("TERM") != "dumb" {
		p.done.Go(func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				select {
				case <-p.stop:
					return
				case <-tick.C:
					p.mu.Lock()
					p.draw()
					p.mu.Unlock()
				}
			}
		})
	}
	return p
}

// end removes the updating line.
func (p *progress) end() {
	close(p.stop)
	p.done.Wait()
	p.erase()
}

// show prints what changed.
func (p *progress) show(d *client.Deployment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = ""
	for _, s := range d.Steps {
		detail := detail(s)
		switch s.Status {
		case "done":
			elapsed := ""
			if s.StartedAt != nil && s.FinishedAt != nil {
				elapsed = " " + duration(s.FinishedAt.Sub(*s.StartedAt))
			}
			p.printOnce(s.Name, "done", "✓ "+s.Name+elapsed)
		case "failed":
			p.printOnce(s.Name, "failed", "✗ "+s.Name+detail)
		case "active":
			p.now = s.Name + detail
			if !terminal(p.t.Err) {
				p.printOnce(s.Name, "active"+detail, "… "+p.now)
			}
		}
	}
	p.draw()
}

// printOnce prints a line for a status of a step, once.
func (p *progress) printOnce(step, status, line string) {
	if p.shown[step] == status {
		return
	}
	p.shown[step] = status
	p.erase()
	w := colorprofile.NewWriter(p.t.Err, p.t.Env)
	style := lipgloss.NewStyle()
	switch status {
	case "done":
		style = style.Foreground(lipgloss.Color("2"))
	case "failed":
		style = style.Foreground(lipgloss.Color("1"))
	}
	mark, rest, _ := strings.Cut(clean(line), " ")
	fmt.Fprintln(w, "  "+style.Render(mark)+" "+rest)
}

func (p *progress) draw() {
	width, _, err := term.GetSize(int(p.t.Err.Fd()))
	if err != nil || p.now == "" || p.t.env("TERM") == "dumb" {
		return
	}
	line := fmt.Sprintf("  … %s, %s elapsed", clean(strings.ReplaceAll(p.now, "\n", " ")),
		duration(p.t.Now().Sub(p.begun)))
	if p.typical > 0 {
		line += ", typically " + duration(p.typical)
	}
	if r := []rune(line); len(r) >= width {
		line = string(r[:max(width-1, 0)])
	}
	fmt.Fprint(p.t.Err, "\r\x1b[K"+line)
	p.drawn = true
}

func (p *progress) erase() {
	if p.drawn {
		fmt.Fprint(p.t.Err, "\r\x1b[K")
		p.drawn = false
	}
}
