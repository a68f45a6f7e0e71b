package altcha_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/billetcloud/billet/internal/altcha"
	"github.com/billetcloud/billet/internal/altcha/altchatest"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/secret"
)

func service(t *testing.T, c *clock.Simulated) *altcha.Service {
	t.Helper()
	box, err := secret.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return altcha.New(altcha.Config{Rand: rand.Reader, Now: c.Now, Secrets: box})
}

func challenge(t *testing.T, s *altcha.Service, use string) altcha.Challenge {
	t.Helper()
	c, err := s.Challenge(use)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSolutionIsAcceptedOnce(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := service(t, c)
		text := altchatest.Solve(t, challenge(t, s, "sign-up")).Text(t)
		var accepted, refused int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				v, err := s.Check(text, "sign-up")
				if err == nil {
					err = d.InTx(t.Context(), v.Use)
				}
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					accepted++
				case errors.Is(err, altcha.ErrSolution):
					refused++
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if accepted != 1 || refused != 7 {
			t.Errorf("%d accepted, %d refused; want 1 and 7", accepted, refused)
		}
		c.Advance(altcha.Lifetime)
		if err := d.InTx(t.Context(), s.Forget); err != nil {
			t.Fatal(err)
		}
		var left int
		err := d.View(t.Context(), func(ctx context.Context, r *db.Tx) error {
			return r.QueryRow(ctx, `SELECT COUNT(*) FROM altcha_solved`).Scan(&left)
		})
		if err != nil || left != 0 {
			t.Errorf("%d rows left after they expired, error %v; want none", left, err)
		}
	})
}

func TestService_Check(t *testing.T) {
	t.Parallel()
	c := clock.NewSimulated(0)
	s := service(t, c)
	right := altchatest.Solve(t, challenge(t, s, "sign-up"))
	for name, change := range map[string]func(*altchatest.Payload){
		"cheaper":           func(p *altchatest.Payload) { p.Challenge.Parameters.Cost = 1 },
		"no prefix":         func(p *altchatest.Payload) { p.Challenge.Parameters.KeyPrefix = "" },
		"longer life":       func(p *altchatest.Payload) { p.Challenge.Parameters.ExpiresAt += 3600 },
		"another use":       func(p *altchatest.Payload) { p.Challenge.Parameters.Data.Use = "password-reset" },
		"another signature": func(p *altchatest.Payload) { p.Challenge.Signature = strings.Repeat("0", 64) },
		"another counter":   func(p *altchatest.Payload) { p.Solution.Counter++ },
		"another key":       func(p *altchatest.Payload) { p.Solution.DerivedKey = "00" + strings.Repeat("1", 62) },
		"huge key":          func(p *altchatest.Payload) { p.Challenge.Parameters.KeyLength = 1 << 30 },
	} {
		wrong := right
		change(&wrong)
		if _, err := s.Check(wrong.Text(t), "sign-up"); !errors.Is(err, altcha.ErrSolution) {
			t.Errorf("%s: got %v, want ErrSolution", name, err)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "no base64": "%", "no JSON": "aGVsbG8=", "null": "bnVsbA==", "long": strings.Repeat("A", 5000),
	} {
		if _, err := s.Check(text, "sign-up"); !errors.Is(err, altcha.ErrSolution) {
			t.Errorf("%s: got %v, want ErrSolution", name, err)
		}
	}
	if _, err := s.Check(right.Text(t), "password-reset"); !errors.Is(err, altcha.ErrSolution) {
		t.Errorf("for another form: got %v, want ErrSolution", err)
	}
	if _, err := s.Check(right.Text(t), "sign-up"); err != nil {
		t.Errorf("the right solution: got %v", err)
	}
	c.Advance(altcha.Lifetime)
	if _, err := s.Check(right.Text(t), "sign-up"); !errors.Is(err, altcha.ErrSolution) {
		t.Errorf("late: got %v, want ErrSolution", err)
	}
	if err := (altcha.Solved{}).Use(t.Context(), nil); !errors.Is(err, altcha.ErrSolution) {
		t.Errorf("an unchecked solution: got %v, want ErrSolution", err)
	}
}
