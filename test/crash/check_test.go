package crash_test

import (
	"maps"
	"math/big"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/id"
)

// checkAcknowledged: nothing acknowledged is lost, and nothing requested once exists twice.
func (s *snapshot) checkAcknowledged() {
	h := s.h
	made := map[string][]string{} // ids by name
	for _, d := range s.deps {
		made[d.Name] = append(made[d.Name], d.ID)
	}
	for _, v := range s.vols {
		made[v.Name] = append(made[v.Name], v.ID)
	}
	for id, name := range s.keys {
		made[name] = append(made[name], id)
	}
	for name, ids := range made {
		i := h.names[name]
		switch {
		case i == nil:
			h.fault("%s (%v) was never asked for", name, ids)
		case len(ids) > 1:
			h.fault("%s was asked for once (key %q) and is there %d times: %v", name, i.key, len(ids), ids)
		case i.answered && i.id == "" && (i.key != "" || !i.lost):
			h.fault("%s was refused with %d %s and is there: %v", name, i.first.Status, i.first.Body, ids)
		}
	}
	for name, i := range h.names {
		if i.answered && i.id != "" && !slices.Equal(made[name], []string{i.id}) {
			h.fault("%s was acknowledged as %s (key %q) and there is %v", name, i.id, i.key, made[name])
		}
	}
	s.checkKnown()
}

// checkKnown: what answers have shown of deployments and volumes still holds.
func (s *snapshot) checkKnown() {
	h := s.h
	for id, known := range h.deps {
		d, there := s.deps[id]
		if !there {
			h.fault("%s was shown and is lost", id)
			continue
		}
		if known.billedUntil != nil && d.BilledUntil == nil {
			h.fault("the end of %s was acknowledged for %s and is forgotten: it is %s", id, known.billedUntil, d.Status)
		}
		if known.startedAt != nil && d.StartedAt == nil {
			h.fault("%s was said to run since %s and never did: it is %s", id, known.startedAt, d.Status)
		}
		if known.final != "" && d.Status != known.final {
			h.fault("%s was %s for good and is %s", id, known.final, d.Status)
		}
		s.checkTags(d, known.tags)
	}
	for id, known := range h.vols {
		if v := s.vols[id]; known.deleted && v.Status != "deleted" {
			h.fault("the end of %s was acknowledged and it is %s", id, v.Status)
		}
	}
}

// checkTags: the tags are those of an attempt without a later acknowledged one.
func (s *snapshot) checkTags(d apiDeployment, tries []write) {
	var from *write
	for i := range tries {
		if len(d.Tags) == 1 && tries[i].value == d.Tags[0] {
			from = &tries[i]
		}
	}
	if from == nil && len(d.Tags) > 0 {
		s.h.fault("the tags of %s are %v, which no request has set", d.ID, d.Tags)
	}
	for _, later := range tries {
		if later.answered && (from == nil || later.from > from.to) {
			s.h.fault("the tag %s of %s was acknowledged and is lost: it has %v", later.value, d.ID, d.Tags)
		}
	}
}

// checkUpstream: there is one machine or volume for each record that should have one, and no
// other.
func (s *snapshot) checkUpstream() {
	h := s.h
	count := map[string]int{}
	for _, m := range s.upstream.Machines {
		d, ours := s.deps[string(m.Reference)]
		switch {
		case !ours:
			h.fault("machine %s at %s has no owner: its reference is %s", m.ID, m.Provider, m.Reference)
		case d.Provider != m.Provider:
			h.fault("%s is at %s and has a machine at %s", d.ID, d.Provider, m.Provider)
		case d.Status == "running" && m.State != "ready" || d.Status == "stopped" && m.State != "off":
			h.fault("%s is %s, its machine %s", d.ID, d.Status, m.State)
		case d.Status != "running" && d.Status != "stopped":
			h.fault("%s is %s and has a machine, which is %s", d.ID, d.Status, m.State)
		}
		count[string(m.Reference)]++
	}
	for _, d := range s.deps {
		if want := map[string]int{"running": 1, "stopped": 1}[d.Status]; count[d.ID] != want {
			h.fault("%s is %s and has %d machines", d.ID, d.Status, count[d.ID])
		}
	}
	launched := map[string]int{} // in total, as far as the upstream remembers
	for _, m := range s.machines {
		if launched[m.Reference]++; launched[m.Reference] > 1 {
			h.fault("%s had %d machines in its life", m.Reference, launched[m.Reference])
		}
	}
	s.checkUpstreamVolumes(count)
}

// checkUpstreamVolumes: each volume is upstream once, and attached where the server states it.
// machines is the number of machines of each deployment.
func (s *snapshot) checkUpstreamVolumes(machines map[string]int) {
	h := s.h
	there := map[string]volumeFile{}
	for _, v := range s.volumes {
		if _, twice := there[v.Reference]; twice {
			h.fault("%s is there twice upstream", v.Reference)
		}
		there[v.Reference] = v
		if _, ours := s.vols[v.Reference]; !ours {
			h.fault("volume %s at %s has no owner", v.Reference, v.Provider)
		}
	}
	for _, v := range s.vols {
		up, is := there[v.ID]
		if should := v.Status != "deleted" && v.Status != "failed"; is != should {
			h.fault("%s is %s, and upstream: %t", v.ID, v.Status, is)
		} else if !is {
			continue
		}
		holder := up.AttachedTo
		if machines[holder] == 0 {
			holder = "" // a machine that is gone has no volumes
		}
		switch attached := v.AttachedTo != nil && v.Status == "attached"; {
		case attached && holder != *v.AttachedTo:
			h.fault("%s is attached to %s, upstream to %q", v.ID, *v.AttachedTo, holder)
		case !attached && v.Status == "available" && holder != "":
			h.fault("%s is available, and upstream %s has it", v.ID, holder)
		case up.SizeGB != v.SizeGB:
			h.fault("%s has %d GB, upstream %d", v.ID, v.SizeGB, up.SizeGB)
		case up.Provider != v.Provider:
			h.fault("%s is at %s, upstream at %s", v.ID, v.Provider, up.Provider)
		}
	}
}

const hour = int64(time.Hour / time.Microsecond)

// begun returns how many hours of a meter that started at from begin before at; both are in
// microseconds.
func begun(from, at int64) int64 {
	if at <= from {
		return 0
	}
	return (at-from-1)/hour + 1
}

// unused returns the refund for unused seconds of an hour, rounded half up. It is computed
// independently of package money.
func unused(price, seconds int64) int64 {
	n := new(big.Int).Mul(big.NewInt(price), big.NewInt(seconds))
	n.Add(n, big.NewInt(1800))
	return n.Div(n, big.NewInt(3600)).Int64()
}

// hoursOf compares a subject's charges with the time that it ran. refundHour reports which hours
// are refunded at the end.
func (s *snapshot) hoursOf(subject string, from int64, until *int64, refundHour func(n int64) bool) {
	h, got := s.h, s.charges[subject]
	if until == nil { // it runs: every hour that has begun, including one that begins at this instant
		least, most := begun(from, s.earliest.UnixMicro()+1), begun(from, s.latest.UnixMicro()+1)
		if n := int64(len(got)); n < least || n > most {
			h.fault("%s runs since %s: %d hours are charged, not %d", subject, time.UnixMicro(from).UTC(), n, least)
		}
	}
	paid := int64(len(got))
	if until != nil {
		paid = begun(from, *until)
		if int64(len(got)) < paid {
			h.fault(
				"%s ran from %s until %s: %d hours are charged, not %d", subject, time.UnixMicro(from).UTC(),
				time.UnixMicro(*until).UTC(), len(got), paid,
			)
		}
	}
	var sum int64
	for n := range int64(len(got)) {
		c, is := got[n]
		if !is {
			h.fault("hour %d of %s is not charged, and a later one is", n, subject)
			return
		}
		want := int64(0)
		switch {
		case n >= paid: // recorded, but the hour never began
			want = c.amount
		case until != nil && n == paid-1 && refundHour(n):
			want = unused(c.price, (from+(n+1)*hour-*until)/1e6)
		}
		if c.amount != c.price || c.from != from+n*hour || c.refunded != want {
			end := "now"
			if until != nil {
				end = time.UnixMicro(*until).UTC().String()
			}
			h.fault(
				"hour %d of %s, which ran from %s until %s: %+v, refund %d expected", n, subject,
				time.UnixMicro(from).UTC(), end, c, want,
			)
		}
		sum += c.amount - c.refunded
	}
	if m := s.meters[subject]; m.cost != sum || m.hours != int64(len(got)) || m.started != from {
		h.fault("the meter of %s says %+v, and its %d charges come to %d", subject, m, len(got), sum)
	}
}

// checkDeployments: each hour is charged once, for exactly the time that the tenant had the
// machine.
func (s *snapshot) checkDeployments() {
	for _, d := range s.deps {
		s.checkDeployment(d)
	}
}

func (s *snapshot) checkDeployment(d apiDeployment) {
	h := s.h
	e := s.events[d.ID]
	for _, once := range []string{"created", "failed", "interrupted", "terminating", "terminated"} {
		if e["deployment."+once] > 1 {
			h.fault("%s was %s %d times", d.ID, once, e["deployment."+once])
		}
	}
	if e["deployment.created"] != 1 {
		h.fault("%s was created %d times", d.ID, e["deployment.created"])
	}
	if x, held := s.holds[d.ID]; !held || x.open || x.amount != int64(d.HourlyPrice) {
		h.fault("%s, which is %s and costs %s: the hold is %+v", d.ID, d.Status, d.HourlyPrice, x)
	}
	if _, metered := s.meters[d.ID]; metered != (d.StartedAt != nil) || !metered && len(s.charges[d.ID]) > 0 {
		h.fault("%s started at %v, metered: %t, %d hours", d.ID, d.StartedAt, metered, len(s.charges[d.ID]))
	}
	if d.Status == "interrupted" {
		h.fault("%s was lost, and no cloud here takes a machine back: %+v", d.ID, d)
	}
	alive := d.Status == "running" || d.Status == "stopped"
	if alive == (d.BilledUntil != nil) || d.Status == "failed" && d.StartedAt != nil {
		h.fault("%s is %s, started %v, billed until %v", d.ID, d.Status, d.StartedAt, d.BilledUntil)
	}
	if d.StartedAt == nil {
		if d.CostToDate != 0 {
			h.fault("%s never ran and cost %s", d.ID, d.CostToDate)
		}
		return
	}
	s.checkBill(d)
}

// checkBill: each hour is charged at the agreed price, and the meter and the deployment agree.
func (s *snapshot) checkBill(d apiDeployment) {
	h := s.h
	for _, c := range s.charges[d.ID] {
		if c.price != int64(d.HourlyPrice) {
			h.fault("%s costs %s an hour and was charged %d", d.ID, d.HourlyPrice, c.price)
		}
	}
	var until *int64
	if d.BilledUntil != nil {
		us := d.BilledUntil.UnixMicro()
		until = &us
		if m := s.meters[d.ID]; m.stopped == nil || *m.stopped != us || int64(d.CostToDate) != m.cost {
			h.fault("%s was billed until %s and cost %s, the meter says %+v", d.ID, d.BilledUntil, d.CostToDate, m)
		}
	}
	s.hoursOf(d.ID, d.StartedAt.UnixMicro(), until, func(n int64) bool { return n == 0 })
	s.checkPlanned(d)
}

// checkPlanned: an auto-termination ends the bill at its instant, or at the end of the minimum
// runtime, even if the server was down then.
func (s *snapshot) checkPlanned(d apiDeployment) {
	if s.causes[d.ID] != "scheduled" || d.BilledUntil == nil {
		return
	}
	allowed := []time.Time{d.TerminableAt}
	if i := s.h.names[d.Name]; i != nil {
		if at, planned := i.body["autoTerminateAt"].(time.Time); planned {
			allowed = append(allowed, at)
		}
	}
	allowed = append(allowed, s.h.deps[d.ID].planned...)
	if !slices.ContainsFunc(allowed, d.BilledUntil.Equal) {
		s.h.fault("%s ended as planned, at %s; it was asked for %v", d.ID, d.BilledUntil, allowed)
	}
}

// checkVolumes: a volume is charged from its first availability until its deletion was accepted.
func (s *snapshot) checkVolumes() {
	h := s.h
	for _, v := range s.vols {
		x, held := s.holds[v.ID]
		if !held || x.open {
			h.fault("%s, which is %s: the hold is %+v", v.ID, v.Status, x)
		}
		m, metered := s.meters[v.ID]
		ended := v.Status == "deleted" || v.Status == "failed"
		switch {
		case metered && ended != (m.stopped != nil):
			h.fault("%s is %s and its meter stopped at %v", v.ID, v.Status, m.stopped)
		case !metered && (!ended || len(s.charges[v.ID]) > 0):
			h.fault("%s is %s and was never metered; %d hours are charged", v.ID, v.Status, len(s.charges[v.ID]))
		case metered && v.Status == "failed":
			h.fault("%s was lost, and no cloud here loses a volume: %+v", v.ID, v)
		case metered:
			if ended && int64(v.CostToDate) != m.cost {
				h.fault("%s cost %s, its meter says %d", v.ID, v.CostToDate, m.cost)
			}
			s.hoursOf(v.ID, m.started, m.stopped, func(int64) bool { return false })
		}
		if n := s.events[v.ID]["volume.created"]; n != 1 {
			h.fault("%s was created %d times", v.ID, n)
		}
	}
}

// checkMoney: the ledger is consistent, no hold exceeded the available money, and no other account
// was charged.
func (s *snapshot) checkMoney() {
	h := s.h
	for _, fault := range s.audit {
		h.fault("the books: %s", fault)
	}
	for _, l := range s.lines {
		deploy := id.ID(l.subject).Kind() == id.Deployment
		if l.leftOver < 0 || deploy && l.leftOver-l.amount < 50_000_000 {
			h.fault("a hold of %d for %s left %d", -l.amount, l.subject, l.leftOver)
		}
	}
	seen := map[string]bool{}
	for _, l := range s.lines {
		if seen[l.subject] {
			h.fault("two holds for %s", l.subject)
		}
		seen[l.subject] = true
	}
	for _, subjects := range [][]string{
		slices.Collect(maps.Keys(s.charges)), slices.Collect(maps.Keys(s.holds)),
		slices.Collect(maps.Keys(s.meters)),
	} {
		for _, subject := range subjects {
			_, dep := s.deps[subject]
			_, vol := s.vols[subject]
			if !dep && !vol {
				h.fault("%s was charged and belongs to no tenant", subject)
			}
		}
	}
	for _, job := range s.leftovers {
		h.fault("a job fails again and again: %s", job)
	}
}
