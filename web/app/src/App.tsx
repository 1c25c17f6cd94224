import { useEffect } from 'preact/hooks';
import { Announcer } from './Announcer.js';
import { Chat } from './Chat.js';
import { current, me, unread } from './model.js';
import { SignIn } from './SignIn.js';

export function App() {
  const signedIn = me.value !== undefined;
  const count = [...unread.value.values()].reduce((sum, each) => sum + each, 0);
  const place = signedIn && current.value ? `${current.value.info.name || current.value.id} · Parley` : 'Parley';
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
