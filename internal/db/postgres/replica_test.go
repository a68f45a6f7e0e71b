package postgres

import (
	"strings"
	"testing"
	"time"
)

func TestProgressOfStandby(t *testing.T) {
	start := time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)
	after := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	for _, c := range []struct {
		name string
		do   func(p *progress)
		want time.Time
	}{
		{"nothing is known", func(*progress) {}, time.Time{}},
		{"has all", func(p *progress) { p.primaryAt(after(1), 100); p.replayed(100) }, after(1)},
		{"is ahead of the question", func(p *progress) { p.primaryAt(after(1), 100); p.replayed(130) }, after(1)},
		{"lacks the last commit", func(p *progress) { p.primaryAt(after(1), 100); p.replayed(99) }, time.Time{}},
		{"has what an earlier question asked for", func(p *progress) {
			for i := 1; i <= 3; i++ {
				p.primaryAt(after(i), int64(100*i))
			}
			p.replayed(250)
		}, after(2)},
		{"an idle primary makes it no older", func(p *progress) {
			for i := 1; i <= 3; i++ {
				p.primaryAt(after(i), 100)
				p.replayed(100)
			}
		}, after(3)},
		{"is cut off", func(p *progress) {
			for i := 1; i <= 200; i++ {
				p.primaryAt(after(i), int64(100*i))
				p.replayed(100)
			}
		}, after(1)},
		{"catches up", func(p *progress) {
			for i := 1; i <= 200; i++ {
				p.primaryAt(after(i), int64(100*i))
				p.replayed(100)
			}
			p.replayed(20_000)
		}, after(200)},
		{"another primary has less", func(p *progress) {
			p.primaryAt(after(1), 100)
			p.replayed(130)
			p.primaryAt(after(2), 120)
			p.replayed(130)
		}, time.Time{}},
		{"follows the other primary", func(p *progress) {
			p.primaryAt(after(1), 100)
			p.replayed(130)
			p.primaryAt(after(2), 120)
			p.replayed(120)
			p.primaryAt(after(3), 140)
			p.replayed(140)
		}, after(3)},
	} {
		var p progress
		c.do(&p)
		if !p.asOf.Equal(c.want) {
			t.Errorf("%s: as of %s, want %s", c.name, p.asOf, c.want)
		}
		if len(p.marks) > mostMarks {
			t.Errorf("%s: %d marks", c.name, len(p.marks))
		}
	}
}

func TestReplicaHasOneHost(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://billet@standby/billet":                 "",
		"postgres://billet@standby/billet?sslmode=prefer":  "",
		"postgres://billet@one,two/billet":                 "must have one host",
		"postgres://billet@one:5432,one:5433/billet":       "must have one host",
		"mysql://billet@one/billet":                        "the database URL",
		"postgres://billet:secret@one/billet?sslmode=what": "unknown setting",
	} {
		err := CheckReplicaURL(url)
		if want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", url, err, want)
		}
	}
}
