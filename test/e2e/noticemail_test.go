package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

// A member gets a mail for the threshold of a budget, once, for an outage of the provider of a
// machine, for its end, and for an announcement.
func TestMailsOfBudgetsOutagesAndAnnouncements(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		m := newMailer(t, args...)
		account := m.browser.call(200, "GET", "/me", nil).Data["account"].(map[string]any)["id"].(string)
		m.Run("wallet", "credit", "--account", account, "--amount", "5000")
		key := m.KeyOf(account)
		price := m.Running(key, m.Deploy(key, "mailed", newIdentity(t).public))["hourlyPrice"].(float64)
		budget := m.Call(key, "POST", "/budgets", map[string]any{
			"name": "research", "period": "total", "amount": 4 * price, "thresholds": []int{50}, "mode": "alert",
		})
		if budget.Status != 201 {
			t.Fatalf("%d %s", budget.Status, budget.Body)
		}
		m.Advance("61m") // the second of four hours begins
		reached := m.mails.Await(m.owner.Email, "A budget reached a threshold")
		for _, want := range []string{
			"research", "50 percent", fmt.Sprintf("amount of $%.2f", 4*price), fmt.Sprintf("Spent: $%.2f", 2*price),
			"only alerts",
		} {
			if !strings.Contains(reached.Text, want) {
				t.Errorf("the mail lacks %q:\n%s", want, reached.Text)
			}
		}

		m.Run("announcements", "create", "Maintenance", "--text", "Machines keep running.",
			"--provider", "voltage-park", "--mail")
		m.Advance("1m")
		if said := m.mails.Await(m.owner.Email, "Announcement"); !strings.Contains(said.Text, "Maintenance") ||
			!strings.Contains(said.Text, "Machines keep running.") {
			t.Errorf("%s", said.Text)
		}

		outage := addFault(t, m.Server, "unavailable", "--provider", "voltage-park")
		for range 10 { // each ends with a question to the provider
			m.Advance("2m")
		}
		down := m.mails.Await(m.owner.Email, "Outage of a provider of your machines")
		if !strings.Contains(down.Text, "Voltage Park has not responded since") ||
			!strings.Contains(down.Text, "has machines there: 1.") {
			t.Errorf("%s", down.Text)
		}
		m.Run("sim", "fault", "clear", outage.ID)
		for range 5 {
			m.Advance("2m")
		}
		m.mails.Await(m.owner.Email, "Outage of a provider of your machines has ended")
		m.Advance("3h") // further hours reach no other threshold
		counts := map[string]int{}
		for _, mail := range m.mails.To(m.owner.Email) {
			counts[mail.Subject]++
		}
		for _, subject := range []string{
			reached.Subject, "Announcement", down.Subject, "Outage of a provider of your machines has ended",
		} {
			if counts[subject] != 1 {
				t.Errorf("%d mails %q, want 1", counts[subject], subject)
			}
		}
	})
}
