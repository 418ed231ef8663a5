package main

// #cgo LDFLAGS: -lpthread
// void call_from_threads(void);
import "C"

import "time"

var called = make(chan struct{}, 16)
var hold = make(chan struct{})

//export fromC
func fromC(stay C.int) {
	called <- struct{}{}
	if stay != 0 {
		<-hold
	}
}

// Two threads of C call Go and return, one stays in the call.
func init() {
	withC = func() {
		C.call_from_threads()
		for i := 0; i < 3; i++ {
			<-called
		}
		time.Sleep(50 * time.Millisecond)
	}
}
