package upstreamtest

import "time"

// Instance is a machine whose status follows from the time alone, with what its cloud knows of it
// in Of.
type Instance[Of any] struct {
	ID, Name  string
	CreatedAt time.Time
	EndedAt   time.Time // when its end was accepted; zero for never
	// Keys and HostKey are those of its SSH server, as in ListenSSH.
	Keys    []string
	HostKey string
	// SSH is nil unless the instance is active.
	SSH *SSH
	Of  Of

	shown string // in place of its own status
}

// Life names the statuses of an instance, and how long they take.
type Life struct {
	// Stages are the statuses before it is active, each until an age.
	Stages []Stage
	// Active, Ending and Gone are the statuses that follow, Ends how long it is ending.
	Active, Ending, Gone string
	Ends                 time.Duration
	// User is the login user.
	User string
}

// Stage is a status until an age.
type Stage struct {
	Status string
	Until  time.Duration
}

// Instances are those of a fake, which embeds them and passes Tick and IDs to Serve. Fake.Mu guards
// them; it is held by the caller of every method but SetStatus and Rename.
type Instances[Of any] struct {
	All  []*Instance[Of]
	fake *Fake
	life Life
}

// NewInstances returns a fake's instances, of which there are none yet.
func NewInstances[Of any](f *Fake, l Life) Instances[Of] { return Instances[Of]{fake: f, life: l} }

// Status returns the instance's own status.
func (s *Instances[Of]) Status(i *Instance[Of]) string {
	now := s.fake.Clock.Now()
	switch {
	case i.EndedAt.IsZero():
		for _, stage := range s.life.Stages {
			if now.Sub(i.CreatedAt) < stage.Until {
				return stage.Status
			}
		}
		return s.life.Active
	case now.Sub(i.EndedAt) < s.life.Ends:
		return s.life.Ending
	}
	return s.life.Gone
}

// Shown returns the status that the API shows.
func (s *Instances[Of]) Shown(i *Instance[Of]) string {
	if i.shown != "" {
		return i.shown
	}
	return s.Status(i)
}

// Tick does what is due: active instances answer SSH, and those that end do not.
func (s *Instances[Of]) Tick() {
	for _, i := range s.All {
		switch s.Status(i) {
		case s.life.Active:
			if i.SSH == nil {
				i.SSH, _ = s.fake.Boot(s.life.User, i.Keys, i.HostKey)
			}
		case s.life.Ending, s.life.Gone:
			s.hangUp(i)
		}
	}
}

func (s *Instances[Of]) hangUp(i *Instance[Of]) {
	if i.SSH != nil {
		i.SSH.Close()
		i.SSH = nil
	}
}

// Create adds an instance that is created now.
func (s *Instances[Of]) Create(i Instance[Of]) *Instance[Of] {
	i.CreatedAt = s.fake.Clock.Now()
	s.All = append(s.All, &i)
	return &i
}

// End begins an instance's end.
func (s *Instances[Of]) End(i *Instance[Of]) {
	i.EndedAt = s.fake.Clock.Now()
	s.hangUp(i)
}

// Present returns the instances that are not gone, including those that are ending.
func (s *Instances[Of]) Present() (all []*Instance[Of]) {
	for _, i := range s.All {
		if s.Status(i) != s.life.Gone {
			all = append(all, i)
		}
	}
	return all
}

// IDs returns the ids of the instances that are not gone.
func (s *Instances[Of]) IDs() (ids []string) {
	for _, i := range s.Present() {
		ids = append(ids, i.ID)
	}
	return ids
}

// Find returns the instance, gone or not; nil if there is none.
func (s *Instances[Of]) Find(id string) *Instance[Of] {
	for _, i := range s.All {
		if i.ID == id {
			return i
		}
	}
	return nil
}

// SetStatus makes the instance show that status, whatever its own is; "" shows its own again.
func (s *Instances[Of]) SetStatus(id, status string) {
	s.fake.Do(func() { s.Find(id).shown = status })
}

// Rename renames an instance, as users do in the dashboard.
func (s *Instances[Of]) Rename(id, name string) {
	s.fake.Do(func() { s.Find(id).Name = name })
}
