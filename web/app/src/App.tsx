import { useEffect } from 'preact/hooks';
import { Announcer } from './Announcer.js';
import { Chat } from './Chat.js';
import { current, me, unread } from './model.js';
import { titleOf } from './people.js';
import { SignIn } from './SignIn.js';

export function App() {
  const signedIn = me.value !== undefined;
  const count = [...unread.value.values()].reduce((sum, each) => sum + each, 0);
  const place = signedIn && current.value ? `${titleOf(current.value)} · Parley` : 'Parley';
  useEffect(() => {
    document.title = count > 0 ? `(${count}) ${place}` : place;
  }, [count, place]);
  return (
    <>
      {signedIn ? <Chat /> : <SignIn />}
      <Announcer />
    </>
  );
}
