package e2e_test

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

// storm sends n concurrent requests and counts their statuses and codes.
func storm(t *testing.T, n int, send func(i int) (servertest.Answer, error)) (map[string]int, []servertest.Answer) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	counts, answers := map[string]int{}, []servertest.Answer{}
	for i := range n {
		wg.Go(func() {
			a, err := send(i)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				counts[err.Error()]++
				return
			}
			counts[fmt.Sprint(a.Status, " ", a.Code())]++
			answers = append(answers, a)
		})
	}
	wg.Wait()
	return counts, answers
}

func deployBody(t *testing.T, name string) map[string]any {
	return map[string]any{
		"provider": "voltage-park", "offerId": "off_abc123", "gpuType": "NVIDIA B200", "gpuCount": 8,
		"region":          "dallas-usa-5",
		"operatingSystem": "Ubuntu 22.04", "instanceType": "BARE_METAL", "ssh_public_key": newIdentity(t).public,
		"name": name,
	}
}

func TestConcurrentDeploysSpendNoMoreThanTheBalance(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		_, reader := s.Key("0")
		price := s.Call(reader, "GET", "/offers/off_abc123", nil).Data["hourlyPrice"].(float64)
		_, key := s.Key(
			strconv.FormatFloat(6*price+max(price, 50), 'f', 6, 64), "--deploy-limit", "1000", "--read-limit",
			"10000",
		)
		body := deployBody(t, "one-of-seven")
		counts, _ := storm(
			t, 100,
			func(int) (servertest.Answer, error) { return s.TryCall(key, "POST", "/deployments", body) },
		)
		if counts["201 "] != 7 || counts["402 INSUFFICIENT_BALANCE"] != 93 {
			t.Fatalf("%v", counts)
		}
		s.Advance("1m")
		list := s.Call(key, "GET", "/deployments?status=running", nil).List
		if len(list) != 7 || len(upstream(t, s)) != 7 {
			t.Fatalf("%d running, upstream %v", len(list), upstream(t, s))
		}
		if w := s.Call(key, "GET", "/wallet", nil).Data; w["held"] != 0.0 || w["balance"].(float64) < 0 {
			t.Fatalf("%v", w)
		}
	})
}

func TestIdempotencyKeyCreatesOneDeployment(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		_, key := s.Key("1000", "--deploy-limit", "1000", "--read-limit", "10000")
		body := deployBody(t, "once")
		counts, answers := storm(t, 50, func(int) (servertest.Answer, error) {
			return s.TryCall(key, "POST", "/deployments", body, "Idempotency-Key", "one-and-the-same")
		})
		if counts["201 "] != 50 {
			t.Fatalf("%v", counts)
		}
		for _, a := range answers {
			if string(a.Body) != string(answers[0].Body) {
				t.Fatalf("two answers:\n%s\n%s", a.Body, answers[0].Body)
			}
		}
		s.Kill()
		s.Restart()
		if a := s.Call(key, "POST", "/deployments", body, "Idempotency-Key", "one-and-the-same"); a.Status != 201 ||
			string(a.Body) != string(answers[0].Body) {
			t.Fatalf("after a crash: %d %s", a.Status, a.Body)
		}
		body["name"] = "another"
		if a := s.Call(key, "POST", "/deployments", body, "Idempotency-Key", "one-and-the-same"); a.Status != 409 ||
			a.Code() != "IDEMPOTENCY_KEY_REUSED" {
			t.Fatalf("another body: %d %s", a.Status, a.Body)
		}
		s.Advance("1m")
		if list := s.Call(key, "GET", "/deployments", nil).List; len(list) != 1 || len(upstream(t, s)) != 1 {
			t.Fatalf("%d deployments, upstream %v", len(list), upstream(t, s))
		}
	})
}

// The documented rate limits are exact under 200 concurrent requests. A window that ends during a
// storm admits more, so a storm counts only if all its answers are of one window.
func TestRateLimitsAreExact(t *testing.T) {
	s := servertest.Start(t, "--sim")
	for _, c := range []struct {
		what  string
		limit int
		send  func(key string) func(int) (servertest.Answer, error)
	}{
		{"reads", 60, func(key string) func(int) (servertest.Answer, error) {
			return func(int) (servertest.Answer, error) { return s.TryCall(key, "GET", "/offers", nil) }
		}},
		{"writes", 20, func(key string) func(int) (servertest.Answer, error) {
			return func(int) (servertest.Answer, error) { return s.TryCall(key, "DELETE", "/ssh-keys/ssh_none", nil) }
		}},
		{"deploys", 5, func(key string) func(int) (servertest.Answer, error) {
			body := deployBody(t, "limited")
			return func(int) (servertest.Answer, error) { return s.TryCall(key, "POST", "/deployments", body) }
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			for range 5 {
				_, key := s.Key("0")
				counts, answers := storm(t, 200, c.send(key))
				windows := map[string]bool{}
				for _, a := range answers {
					windows[a.Header.Get("X-RateLimit-Reset")] = true
					if a.Header.Get("X-RateLimit-Limit") != strconv.Itoa(c.limit) ||
						a.Header.Get("X-Request-Id") == "" {
						t.Fatalf("headers %v", a.Header)
					}
					if a.Status == http.StatusTooManyRequests &&
						(a.Code() != "RATE_LIMIT_EXCEEDED" || a.Header.Get("Retry-After") == "" ||
							a.Header.Get("X-RateLimit-Remaining") != "0") {
						t.Fatalf("%v %s", a.Header, a.Body)
					}
				}
				if len(windows) != 1 {
					continue
				}
				if refused := counts["429 RATE_LIMIT_EXCEEDED"]; len(answers) != 200 || refused != 200-c.limit {
					t.Fatalf("%v, want %d refused", counts, 200-c.limit)
				}
				return
			}
			t.Fatal("five storms, and each lay in two windows")
		})
	}
	_, key := s.Key("0", "--read-limit", "7")
	if a := s.Call(key, "GET", "/wallet", nil); a.Header.Get("X-RateLimit-Limit") != "7" ||
		a.Header.Get("X-RateLimit-Remaining") != "6" {
		t.Fatalf("a key with limits of its own: %v", a.Header)
	}
}
