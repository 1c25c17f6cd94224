import { render } from 'preact';
import { App } from './App.js';
import { start } from './model.js';
import { startPeople } from './people.js';
import { startUploads } from './uploads.js';

startPeople();
startUploads();
start();
render(<App />, document.getElementById('app')!);
