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

// progress shows how far a deploy has come: a line for each step that is done, and on a terminal one below them that lives.
type progress struct {
	t *tool
	// typical is how long it usually takes from the beginning; 0 where that is not known.
	typical time.Duration
	begun   time.Time

	mu    sync.Mutex
	told  map[string]string // the status that was last told of each step
	now   string            // the step that is active
	drawn bool
	stop  chan struct{}
	done  sync.WaitGroup
}

// newProgress begins to show. Its end must be called.
func (t *tool) newProgress(typical time.Duration) *progress {
	p := &progress{t: t, typical: typical, begun: t.Now(), told: map[string]string{}, stop: make(chan struct{})}
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

// end takes the living line away.
func (p *progress) end() {
	close(p.stop)
	p.done.Wait()
	p.erase()
}

// show tells what has changed.
func (p *progress) show(d *client.Deployment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = ""
	for _, s := range d.Steps {
		detail := detail(s)
		switch s.Status {
		case "done":
			took := ""
			if s.StartedAt != nil && s.FinishedAt != nil {
				took = " " + since(s.FinishedAt.Sub(*s.StartedAt))
			}
			p.tell(s.Name, "done", "✓ "+s.Name+took)
		case "failed":
			p.tell(s.Name, "failed", "✗ "+s.Name+detail)
		case "active":
			p.now = s.Name + detail
			if !terminal(p.t.Err) {
				p.tell(s.Name, "active"+detail, "… "+p.now)
			}
		}
	}
	p.draw()
}

// tell says a line once.
func (p *progress) tell(step, status, line string) {
	if p.told[step] == status {
		return
	}
	p.told[step] = status
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
	line := fmt.Sprintf("  … %s, %s so far", clean(strings.ReplaceAll(p.now, "\n", " ")), since(p.t.Now().Sub(p.begun)))
	if p.typical > 0 {
		line += ", typically " + since(p.typical)
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
